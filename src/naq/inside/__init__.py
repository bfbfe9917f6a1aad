"""What a running job can do beside returning: report, keep, wait (docs/inside.md). `naq.Context` is its surface."""
