"""Tasks that are generators: what they give is written as it comes, and read by anybody (docs/streaming.md)."""
