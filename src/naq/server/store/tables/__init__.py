"""The tables, one file a noun. Times are microseconds since 1970 UTC (`_at`), durations microseconds (`_us`)."""

from naq.server.store.tables.access import audit, bulk, idempotency, secrets, tokens
from naq.server.store.tables.alerts import (
    alert_channels,
    alert_rules,
    deliveries,
    dismissed,
    incidents,
    leases,
    readings,
)
from naq.server.store.tables.attempts import attempts
from naq.server.store.tables.base import metadata
from naq.server.store.tables.cursors import cursors
from naq.server.store.tables.errors import error_hours, errors, invalid
from naq.server.store.tables.jobs import FINAL_STATES, STATES, jobs, links, tags
from naq.server.store.tables.logs import events, logs
from naq.server.store.tables.marks import marks
from naq.server.store.tables.rollups import durations, rollups
from naq.server.store.tables.views import views
from naq.server.store.tables.workers import depths, queues, tasks, worker_minutes, workers

__all__ = [
    "FINAL_STATES",
    "STATES",
    "alert_channels",
    "alert_rules",
    "attempts",
    "audit",
    "bulk",
    "cursors",
    "deliveries",
    "depths",
    "dismissed",
    "durations",
    "error_hours",
    "errors",
    "events",
    "idempotency",
    "incidents",
    "invalid",
    "jobs",
    "leases",
    "links",
    "logs",
    "marks",
    "metadata",
    "queues",
    "readings",
    "rollups",
    "secrets",
    "tags",
    "tasks",
    "tokens",
    "views",
    "worker_minutes",
    "workers",
]
