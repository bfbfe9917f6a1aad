"""A broker as it is, looked at and not touched: can it be reached, is it good enough, are the streams as planned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from naq import clock
from naq.backends.nats import topology
from naq.backends.nats.api import JetStream
from naq.backends.nats.broker.address import resolve
from naq.backends.nats.broker.durability import SERVER_FLOOR, check_broker, get_mode, parse_version, show_version
from naq.backends.nats.broker.monitor import read_sync_interval
from naq.backends.nats.client import errors
from naq.backends.nats.client.courier import Courier
from naq.backends.nats.client.link import Link
from naq.backends.nats.subjects import ALL_LANES, Subjects, consumer
from naq.config import Config
from naq.exceptions import BackendError, ConfigurationError

_GIB: Final = 1024**3
_NEARLY_FULL: Final = 0.9  # of the storage that the server may use; past the limit every enqueue is refused


class Seen(Struct, frozen=True):
    """One thing that was looked at; `advice` says what to do about it."""

    level: Literal["ok", "warning", "problem"]
    text: str
    advice: str = ""


async def survey(
    config: Config, queues: Sequence[str] = (), *, wait: float | None = None, monitor_url: str | None = None
) -> list[Seen]:
    """Look at the broker of `config`, its streams, and the consumers of `queues`. Creates nothing.

    `monitor_url` is the server's HTTP port, which alone tells how often it syncs to disk.

    Raises:
        NaqConnectionError: it cannot be reached within `wait` seconds (default: the connect timeout).
    """
    url, held = await asyncio.to_thread(resolve, config)
    link = Link(config, url, name=f"naq survey {config.namespace}")
    courier = Courier(link)
    js = JetStream(courier, timeout=config.connect_timeout)
    try:
        await courier.open()
        await link.open(config.connect_timeout if wait is None else wait)
        sync = None if monitor_url is None else await asyncio.to_thread(read_sync_interval, monitor_url.rstrip("/"))
        found = _server(config, link, sync)
        if monitor_url is not None and sync is None:
            found.append(Seen("problem", f"{monitor_url} does not answer /varz", "set the server's `http` port"))
        try:
            found.append(await _jetstream(js, link.shown))
        except (BackendError, ConfigurationError) as error:
            return [*found, Seen("problem", f"JetStream: {error}", "set a `jetstream` block: naq broker config")]
        return found + await _streams(js, config, queues)
    finally:
        await link.close()
        courier.close()
        if held is not None:
            await asyncio.to_thread(held.close)


def _server(config: Config, link: Link, sync: float | None) -> list[Seen]:
    version = parse_version(str(link.server.get("version", "")))
    alone = None if link.server.get("cluster") else 1
    findings = check_broker(get_mode(config.durability), version=version, servers=alone, sync_interval=sync)
    if findings:
        return [Seen("problem" if finding.fatal else "warning", finding.message) for finding in findings]
    known = "" if sync is None else f", syncs every {sync:g} s" if sync else ", syncs at every write"
    text = f"NATS {show_version(version)} at {link.shown} is good for durability {config.durability}{known}"
    return [Seen("ok", f"{text} (needs {show_version(SERVER_FLOOR)} or later)")]


async def _jetstream(js: JetStream, shown: str) -> Seen:
    begun = clock.monotonic()
    account = await js.call("INFO")
    took = (clock.monotonic() - begun) * 1000
    used, most = int(account.get("storage", 0)), int(account.get("limits", {}).get("max_storage", -1))
    if most > 0 and used > most * _NEARLY_FULL:
        text = f"JetStream at {shown} has used {used / _GIB:.1f} of {most / _GIB:.1f} GiB"
        return Seen("warning", text, "raise the account's limit, or shorten record_ttl: full, it refuses every job")
    limit = f" of {most / _GIB:.1f}" if most > 0 else ""
    return Seen("ok", f"JetStream answers in {took:.1f} ms and holds {used / _GIB:.1f}{limit} GiB")


async def _streams(js: JetStream, config: Config, queues: Sequence[str]) -> list[Seen]:
    subjects = Subjects(config.namespace)
    found: list[Seen] = []
    missing = [queue for queue in queues if not await _has_lanes(js, subjects, queue)]
    for wanted in topology.streams(config, subjects):
        name = str(wanted["name"])
        info: dict[str, Any] | None = await js.try_call(f"STREAM.INFO.{name}", absent=errors.STREAM_NOT_FOUND)
        if info is None:
            found.append(Seen("warning", f"stream {name} is not there", "naq broker setup makes it (as any first use)"))
            continue
        try:
            topology.check_stream(name, info["config"], wanted, is_jobs=name == subjects.jobs)
        except ConfigurationError as error:
            found.append(Seen("problem", str(error)))
        else:
            found.append(Seen("ok", f"stream {name} is as planned, {int(info['state']['messages']):,} messages"))
    advice = "naq broker setup makes them"
    return found + [Seen("warning", f"queue {queue} has no consumers yet", advice) for queue in missing]


async def _has_lanes(js: JetStream, subjects: Subjects, queue: str) -> bool:
    absent = {errors.CONSUMER_NOT_FOUND, errors.STREAM_NOT_FOUND}
    for priority in ALL_LANES:
        try:
            await js.call(f"CONSUMER.INFO.{subjects.jobs}.{consumer(queue, priority)}")
        except BackendError as error:
            refusal = getattr(error.__cause__, "refusal", None)
            if refusal is not None and refusal.err_code in absent:
                return False
            raise
    return True
