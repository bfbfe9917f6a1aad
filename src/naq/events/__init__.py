"""Events: what a program says has happened, and jobs that follow from it (docs/events.md)."""
