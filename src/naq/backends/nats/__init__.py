"""The NATS JetStream backend (RELIABILITY.md 5.2-5.5)."""
