"""The REST API: `/api/v1`, one file a noun (docs/api.md)."""
