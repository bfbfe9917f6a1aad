"""Running a NATS server: its configuration, its process, and one shared by everybody who names a folder."""
