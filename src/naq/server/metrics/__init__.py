"""``/metrics`` of the server: what it counted, what it knows, and what broker and database say when somebody asks."""
