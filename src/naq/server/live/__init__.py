"""Live events: the broker's event log, told to whoever watches (docs/api.md, Live events)."""
