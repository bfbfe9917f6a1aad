"""Several worker processes under one: `supervisor` keeps them running, `membership` is their side of it."""
