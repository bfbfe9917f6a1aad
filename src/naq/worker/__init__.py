"""What runs jobs: one file a service."""
