"""The five streams and the consumers of a queue: made on demand, checked when found (RELIABILITY.md 5.2)."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from naq.backends.nats.api import JetStream, Refused
from naq.backends.nats.client import errors
from naq.backends.nats.subjects import ALL_LANES, Subjects, consumer
from naq.config import Config
from naq.exceptions import BackendError, ConfigurationError
from naq.job import Priority

_S: Final = 1_000_000_000  # nanoseconds in a second; the unit of the API
DEAD_AGE: Final = 30 * 86400  # seconds a dead letter is kept for a person
MARKER_TTL: Final = 10  # seconds a delete marker stays in STATE
DEDUP_WINDOW: Final = 120  # seconds; only for tasks that keep no record
MAX_ACK_PENDING: Final = 10_000  # claims of a lane in the fleet, where nobody set a limit
MAX_WAITING: Final = 10_000  # standing pulls of a lane
_UNLIMITED: Final = {"max_msgs": -1, "max_bytes": -1, "max_consumers": -1, "max_msg_size": -1}


def replicas(config: Config) -> int:
    """How many copies of everything the durability mode asks for."""
    return 3 if config.durability.startswith("replicated") else 1


def streams(config: Config, subjects: Subjects) -> list[dict[str, Any]]:
    """The stream configurations of a namespace."""
    prefix, common = subjects.prefix, {"num_replicas": replicas(config), "discard": "old", **_UNLIMITED}
    file = {"storage": "file", **common}
    return [
        {
            # No limits here, ever: with `discard: old` they would silently delete the oldest jobs, and schedules
            # forbid `discard: new`. One message a subject: a job's id is its identity.
            "name": subjects.jobs, "subjects": [f"{prefix}.j.>"], "retention": "workqueue",
            "max_msgs_per_subject": 1, "max_age": 0, "duplicate_window": DEDUP_WINDOW * _S,
            "allow_direct": True, "allow_msg_ttl": True, "allow_msg_schedules": True,
            "allow_atomic": True, "allow_batched": True, "compression": "none", **file,
        },
        {
            "name": subjects.log, "subjects": [f"{prefix}.r.>", f"{prefix}.e.>"], "retention": "limits",
            "max_msgs_per_subject": -1, "max_age": int(config.record_ttl * _S),
            "duplicate_window": DEDUP_WINDOW * _S, "allow_direct": True, "allow_msg_ttl": True,
            # Whoever waits for a result gets the record pushed, and only once it is stored (docs/adr/0005).
            "republish": {"src": f"{prefix}.>", "dest": f"{prefix}.c.>"}, **file,
        },
        {
            "name": subjects.dead, "subjects": [f"{prefix}.d.>"], "retention": "limits", "max_msgs_per_subject": 1,
            "max_age": DEAD_AGE * _S, "duplicate_window": DEDUP_WINDOW * _S, "allow_direct": True, **file,
        },
        {
            "name": subjects.state, "subjects": [f"{prefix}.k.>"], "retention": "limits", "max_msgs_per_subject": 1,
            "max_age": 0, "duplicate_window": DEDUP_WINDOW * _S, "allow_direct": True, "allow_msg_ttl": True,
            "subject_delete_marker_ttl": MARKER_TTL * _S, "allow_rollup_hdrs": True, **file,
        },
        {
            "name": subjects.live, "subjects": [f"{prefix}.l.>"], "retention": "limits", "max_msgs_per_subject": 1,
            "max_age": 0, "duplicate_window": DEDUP_WINDOW * _S, "allow_direct": True, "allow_msg_ttl": True,
            "storage": "memory", **common,
        },
    ]  # fmt: skip


def consumer_config(config: Config, subjects: Subjects, queue: str, priority: Priority) -> dict[str, Any]:
    """The durable consumer of a lane. `max_deliver` and `backoff` stay unset (RELIABILITY.md 0.12)."""
    return {
        "durable_name": consumer(queue, priority),
        "filter_subject": subjects.lane(queue, priority),
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "replay_policy": "instant",
        "ack_wait": int(config.lease * _S),
        "max_deliver": -1,
        "max_ack_pending": MAX_ACK_PENDING,
        "max_waiting": MAX_WAITING,
        "num_replicas": 0,
    }


async def ensure_streams(js: JetStream, config: Config, subjects: Subjects) -> None:
    """Create what is missing; refuse what would lose jobs.

    Raises:
        ConfigurationError: a stream exists with a configuration that naq cannot work with; says which setting.
    """
    await asyncio.gather(*(_ensure_stream(js, wanted, subjects) for wanted in streams(config, subjects)))


async def _ensure_stream(js: JetStream, wanted: dict[str, Any], subjects: Subjects) -> None:
    name = wanted["name"]
    found = await js.try_call(f"STREAM.INFO.{name}", absent=errors.STREAM_NOT_FOUND)
    if found is None:
        try:
            found = await js.call(f"STREAM.CREATE.{name}", wanted)
        except BackendError as error:
            # Somebody else made it meanwhile, with settings that differ: look at theirs.
            if not isinstance(error.__cause__, Refused) or error.__cause__.refusal.err_code != errors.STREAM_EXISTS:
                raise
            found = await js.call(f"STREAM.INFO.{name}")
    _check_stream(name, found["config"], wanted, is_jobs=name == subjects.jobs)


def _check_stream(name: str, has: dict[str, Any], wanted: dict[str, Any], *, is_jobs: bool) -> None:
    fixed = ["subjects", "retention", "storage", "max_msgs_per_subject", "discard"]
    if is_jobs:
        fixed += ["max_msgs", "max_bytes", "max_age", "allow_msg_schedules"]
    for setting in fixed:
        if has.get(setting, False) != wanted[setting]:
            raise ConfigurationError(
                f"stream {name} has {setting}={has.get(setting)!r}, naq needs {wanted[setting]!r}, or jobs would be "
                "lost. Was it made or changed by something else? Mend it, or choose another namespace"
            )


async def ensure_queue(js: JetStream, config: Config, subjects: Subjects, queue: str) -> None:
    """Create the lanes of `queue` where they are missing."""
    await asyncio.gather(*(ensure_lane(js, config, subjects, queue, priority) for priority in ALL_LANES))


async def ensure_lane(js: JetStream, config: Config, subjects: Subjects, queue: str, priority: Priority) -> None:
    """Create the consumer of one lane if it is missing; one that exists keeps its limit and its pause."""
    name = consumer(queue, priority)
    found = await js.try_call(f"CONSUMER.INFO.{subjects.jobs}.{name}", absent=errors.CONSUMER_NOT_FOUND)
    if found is not None:
        return
    body = {
        "stream_name": subjects.jobs,
        "config": consumer_config(config, subjects, queue, priority),
        "action": "create",
    }
    await js.call(f"CONSUMER.DURABLE.CREATE.{subjects.jobs}.{name}", body)
