"""naq beside its peers and beside the raw client, measured in one run. See docs/benchmarks.md."""
