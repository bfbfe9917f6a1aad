"""The connection to NATS: dialling, keeping, publishing, pulling."""
