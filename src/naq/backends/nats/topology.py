"""The five streams and the consumers of a queue: made on demand, checked when found (RELIABILITY.md 5.2)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Final

from naq.backends.nats.api import JetStream, Refused
from naq.backends.nats.broker.durability import check_broker, get_mode, parse_version
from naq.backends.nats.client import errors
from naq.backends.nats.subjects import ALL_LANES, PRIORITY, Subjects, consumer
from naq.config import Config
from naq.exceptions import BackendError, ConfigurationError
from naq.job import Priority

_log = logging.getLogger("naq.nats")
_S: Final = 1_000_000_000  # nanoseconds in a second; the unit of the API
MARKER_TTL: Final = 10  # seconds a delete marker stays in STATE
DEDUP_WINDOW: Final = 120  # seconds; only for tasks that keep no record
MAX_ACK_PENDING: Final = 10_000  # claims of a lane in the fleet, where nobody set a limit
MAX_WAITING: Final = 10_000  # standing pulls of a lane
_UNLIMITED: Final = {"max_msgs": -1, "max_bytes": -1, "max_consumers": -1, "max_msg_size": -1}


def check_server(config: Config, server: Mapping[str, Any]) -> None:
    """Refuse a server that cannot keep what the durability mode promises, as far as its INFO tells.

    How often it syncs to disk only its monitoring port says; `naq doctor` asks there.

    Raises:
        ConfigurationError: it is too old for the mode, or alone where the mode keeps several copies.
    """
    mode = get_mode(config.durability)
    alone = None if server.get("cluster") else 1
    for finding in check_broker(mode, version=parse_version(str(server.get("version", ""))), servers=alone):
        if finding.fatal:
            raise ConfigurationError(finding.message)
        _log.warning("%s", finding.message)


def streams(config: Config, subjects: Subjects) -> list[dict[str, Any]]:
    """The stream configurations of a namespace."""
    copies = get_mode(config.durability).replicas
    prefix, common = subjects.prefix, {"num_replicas": copies, "discard": "old", **_UNLIMITED}
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
            "duplicate_window": min(DEDUP_WINDOW * _S, int(config.record_ttl * _S)),
            "allow_direct": True, "allow_msg_ttl": True,
            # Whoever waits for a result gets the record pushed, and only once it is stored (docs/adr/0005).
            "republish": {"src": f"{prefix}.>", "dest": f"{prefix}.c.>"}, **file,
        },
        {
            "name": subjects.dead, "subjects": [f"{prefix}.d.>"], "retention": "limits", "max_msgs_per_subject": 1,
            "max_age": int(config.dead_ttl * _S), "allow_direct": True,
            "duplicate_window": min(DEDUP_WINDOW * _S, int(config.dead_ttl * _S)), **file,
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


async def apply_ttls(js: JetStream, config: Config, subjects: Subjects) -> None:
    """Have the log and the dead letters kept for `record_ttl` and `dead_ttl` where they were made with another.

    For the leader alone: it is a worker, so the fleet's setting counts, and a program that only enqueues, with the
    default, does not put it back.
    """
    wanted = {stream["name"]: stream for stream in streams(config, subjects)}
    await _apply_age(js, wanted[subjects.log], "records and events", "record_ttl")
    await _apply_age(js, wanted[subjects.dead], "dead letters", "dead_ttl")


async def _apply_age(js: JetStream, wanted: dict[str, Any], what: str, setting: str) -> None:
    name = wanted["name"]
    has: dict[str, Any] = (await js.call(f"STREAM.INFO.{name}"))["config"]
    if has["max_age"] == wanted["max_age"]:
        return
    # The window may not be longer than the age; all else stays as an operator may have set it.
    change = {key: wanted[key] for key in ("max_age", "duplicate_window")}
    await js.call(f"STREAM.UPDATE.{name}", has | change)
    _log.warning(
        "%s are kept for %g s from now on, as configured here (%s), instead of %g s",
        what, wanted["max_age"] / _S, setting, has["max_age"] / _S,
    )  # fmt: skip


async def ensure_live(js: JetStream, config: Config, subjects: Subjects) -> None:
    """Create the stream of who lives where a restart of the broker took it along: it is in memory only."""
    for wanted in streams(config, subjects):
        if wanted["name"] == subjects.live:
            await _ensure_stream(js, wanted, subjects)


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
    check_stream(name, found["config"], wanted, is_jobs=name == subjects.jobs)
    if name == subjects.jobs and found["state"]["consumer_count"]:
        await _check_consumers(js, subjects)


def check_stream(name: str, has: dict[str, Any], wanted: dict[str, Any], *, is_jobs: bool) -> None:
    """Refuse a stream that `has` a configuration other than the one `wanted`.

    Raises:
        ConfigurationError: says which setting, and what it would lead to.
    """
    fixed = ["subjects", "retention", "storage", "max_msgs_per_subject", "discard"]
    if is_jobs:
        fixed += ["max_msgs", "max_bytes", "max_age", "allow_msg_schedules"]
    for setting in fixed:
        if has.get(setting, False) != wanted[setting]:
            raise ConfigurationError(
                f"stream {name} has {setting}={has.get(setting)!r}, naq needs {wanted[setting]!r}, or jobs would be "
                "lost. Was it made or changed by something else? Mend it, or choose another namespace"
            )
    has_copies, copies = int(has.get("num_replicas", 1)), int(wanted["num_replicas"])
    if has_copies < copies:
        raise ConfigurationError(
            f"stream {name} has {has_copies} copy of its messages, and the durability asked for keeps {copies}: "
            f"`nats stream edit {name} --replicas {copies}`, or ask for less durability"
        )


async def _check_consumers(js: JetStream, subjects: Subjects) -> None:
    """Refuse consumers of others on JOBS: what they ack is gone, so they would eat jobs, or timers."""
    offset, total = 0, 1
    while offset < total:
        page = await js.call(f"CONSUMER.LIST.{subjects.jobs}", {"offset": offset})
        found: list[dict[str, Any]] = page.get("consumers") or []
        total, offset = int(page["total"]), offset + len(found)
        for info in found:
            _check_consumer(info["name"], info["config"], subjects)
        if not found:
            return


def _check_consumer(name: str, has: dict[str, Any], subjects: Subjects) -> None:
    queue, _, letter = name.rpartition("_")
    filters = has.get("filter_subjects") or [has.get("filter_subject", "")]
    ours = letter in PRIORITY and filters == [subjects.lane(queue, PRIORITY[letter])]
    if not ours:
        raise ConfigurationError(
            f"stream {subjects.jobs} has a consumer {name!r} on {', '.join(filters) or '>'} that is none of naq's: "
            f"whatever it acks is deleted. Remove it (`nats consumer rm {subjects.jobs} {name}`), or choose another "
            "namespace"
        )
    for setting, good in (("ack_policy", {"explicit"}), ("max_deliver", {-1, 0}), ("deliver_policy", {"all"})):
        if has.get(setting, -1) not in good:
            raise ConfigurationError(
                f"consumer {name} of {subjects.jobs} has {setting}={has[setting]!r}: jobs would be lost or get stuck. "
                f"Remove it (`nats consumer rm {subjects.jobs} {name}`); naq makes it anew"
            )


async def ensure_queue(js: JetStream, config: Config, subjects: Subjects, queue: str) -> None:
    """Create the lanes of `queue` where they are missing."""
    await asyncio.gather(*(ensure_lane(js, config, subjects, queue, priority) for priority in ALL_LANES))


async def ensure_lane(js: JetStream, config: Config, subjects: Subjects, queue: str, priority: Priority) -> None:
    """Create the consumer of one lane if it is missing; one that exists keeps its lease, its limit and its pause."""
    if (has := await _lane(js, subjects, queue, priority)) is not None:
        _check_consumer(consumer(queue, priority), has, subjects)
        return
    await _put_lane(js, subjects, consumer_config(config, subjects, queue, priority), "create")


async def raise_lease(js: JetStream, config: Config, subjects: Subjects, queue: str, priority: Priority) -> None:
    """Have a lane no shorter lease than ours: for whoever is about to claim from it, and for nobody else.

    A claim's own deadline may never lie beyond the broker's. A longer lease than ours is safe: ours ends first. It is
    the fleet's, so we do not shorten it.
    """
    has = await _lane(js, subjects, queue, priority)
    ours = int(config.lease * _S)
    if has is not None and int(has["ack_wait"]) < ours:
        _log.warning("queue %s: the lease is raised to %g s, as configured here", queue, config.lease)
        await _put_lane(js, subjects, has | {"ack_wait": ours}, "update")


async def _lane(js: JetStream, subjects: Subjects, queue: str, priority: Priority) -> dict[str, Any] | None:
    name = consumer(queue, priority)
    found = await js.try_call(f"CONSUMER.INFO.{subjects.jobs}.{name}", absent=errors.CONSUMER_NOT_FOUND)
    return None if found is None else found["config"]


async def _put_lane(js: JetStream, subjects: Subjects, wanted: dict[str, Any], action: str) -> None:
    body = {"stream_name": subjects.jobs, "config": wanted, "action": action}
    await js.call(f"CONSUMER.DURABLE.CREATE.{subjects.jobs}.{wanted['durable_name']}", body)
