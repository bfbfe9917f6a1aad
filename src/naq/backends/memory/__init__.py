"""The memory backend: real leases, timers and threads in one process; the reference for the others."""
