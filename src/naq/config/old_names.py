"""What settings were called in naq before: named in errors, so that who comes from there need not search."""

from __future__ import annotations

from typing import Final

#: Old name -> the setting that it is now.
RENAMED: Final = {
    "nats_url": "broker_url",
    "job_serializer": "codec",
    "default_result_ttl": "record_ttl",
    "result_ttl": "record_ttl",
    "job_status_ttl": "record_ttl",
    "worker_heartbeat_interval": "heartbeat_interval",
    "worker_concurrency": "concurrency",
}
#: Old name -> what to do instead, where no setting has come in its place.
GONE: Final = {
    "default_queue": "say the queue where it is used: naq.Queue(name), queue_name=, queue= of a task",
    "log_level": "naq worker --log-level, or naq.setup_logging(level)",
}


def formerly(name: str, prefix: str = "") -> str:
    """A sentence for the end of an error about the unknown setting `name`; empty where it never was one."""
    if (now := RENAMED.get(name)) is not None:
        return f"it is called {prefix + now.upper() if prefix else now} now"
    return GONE.get(name, "")
