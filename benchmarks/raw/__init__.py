"""The same work in bare nats-py, with nothing but its public API: what a queue over this client is measured by."""
