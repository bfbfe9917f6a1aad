"""The conformance suite: the specification of a backend."""
