"""Steps that wait without holding a slot: for a time, or for an event. The job is put off, and comes back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from naq import clock
from naq.codec.sealing import close_value, open_value
from naq.exceptions import ConfigurationError, SerializationError, SnoozeJob
from naq.faults import fault
from naq.inside.steps import token
from naq.retry import MAX_DELAY

if TYPE_CHECKING:
    from naq.backends.base import Backend, Entry
    from naq.config import Config
    from naq.context import Context
    from naq.inside.steps import Steps

    MaybeRaw = Raw | None
else:
    MaybeRaw = Raw  # as in naq.job.record

WAITER: Final = "waiter"
#: Seconds after which a job that waits for an event without a limit looks by itself, in case nobody told it.
LOOK_AGAIN: Final = 86400.0
_encode: Final = msgspec.json.Encoder().encode


class Waiter(Struct, frozen=True, omit_defaults=True):
    """A job that waits for an event.

    Attributes:
        event: its name.
        job: the job's id.
        run: its run.
        since: UNIX seconds from which on events count.
        until: UNIX seconds until which it waits; None: for as long as it takes.
        match: the key that the event must have; "": any.
        got: the data of the event that came.
    """

    event: str
    job: str
    run: int
    since: float
    until: float | None = None
    match: str = ""
    got: MaybeRaw = None


class _Ended(Struct, frozen=True, omit_defaults=True):
    """What came of waiting for an event: its data, or nothing in time."""

    data: MaybeRaw = None


_read_ended: Final = msgspec.json.Decoder(_Ended).decode
_decode: Final = msgspec.json.Decoder(Waiter).decode


def read_delay(delay: float | timedelta | None, **parts: float) -> float:
    """Seconds, from a number, a timedelta or ``days=..., hours=...``.

    Raises:
        ConfigurationError: nothing, or no such time.
    """
    given = timedelta(**{name: value for name, value in parts.items() if value}).total_seconds()
    seconds = given + (delay.total_seconds() if isinstance(delay, timedelta) else delay or 0.0)
    if delay is None and not any(parts.values()):
        raise ConfigurationError("say how long: a number of seconds, a timedelta, or days=, hours=, minutes=, seconds=")
    if not 0.0 <= seconds <= MAX_DELAY:  # so never NaN
        raise ConfigurationError(f"{seconds!r} seconds cannot be waited: use 0 to {MAX_DELAY:.0f}")
    return seconds


async def sleep(backend: Backend, steps: Steps, name: str, seconds: float, keep_for: float) -> None:
    """Return once `seconds` have passed since this step was first reached.

    Raises:
        SnoozeJob: until then.
    """
    found = await steps.find(backend, name)
    if found is None:
        until = clock.now() + seconds
        found = await steps.keep(backend, name, Raw(_encode(until)), ttl=seconds + keep_for)
        await steps.keep_longer(backend, seconds)
    until = msgspec.json.decode(found, type=float)
    if (left := until - clock.now()) > 0:
        raise SnoozeJob(left, f"sleeps until {clock.as_datetime(until):%Y-%m-%d %H:%M:%S} UTC")


async def wait_for_event(
    backend: Backend,
    steps: Steps,
    context: Context,
    config: Config,
    name: str,
    event: str,
    match: str,
    timeout: float | None,
) -> Raw:
    """The data of the event, once it has come.

    Raises:
        SnoozeJob: until then.
        TimeoutError: it did not come in time.
    """
    key = f"{token(event)}.{context.job_id}.{context.run}.{token(name)}"
    found = await steps.find(backend, name)
    while found is None:
        entry = await backend.entry(WAITER, key)
        if entry is None:
            now = clock.now()
            until = None if timeout is None else now + timeout
            waiter = Waiter(event=event, job=context.job_id, run=context.run, since=now, until=until, match=match)
            await steps.keep_longer(backend, timeout or config.record_ttl)
            await put_waiter(backend, config, key, waiter, expect=0)
            fault("wait.registered")
            continue
        waiter = read_waiter(config, entry)
        if waiter.got is not None:
            found = await steps.keep(backend, name, Raw(_encode(_Ended(waiter.got))))
            await backend.remove(WAITER, key)
        elif waiter.until is not None and clock.now() >= waiter.until:
            if await backend.remove(WAITER, key, expect=entry.version):  # else it has come after all
                found = await steps.keep(backend, name, Raw(_encode(_Ended())))
        else:
            left = LOOK_AGAIN if waiter.until is None else waiter.until - clock.now()
            await steps.keep_longer(backend, left)
            raise SnoozeJob(min(left, LOOK_AGAIN), f"waits for event {event}" + (f" ({match})" if match else ""))
    data = _read_ended(found).data
    if data is None:
        raise TimeoutError(f"event {event} did not come in time")
    return data


async def put_waiter(backend: Backend, config: Config, key: str, waiter: Waiter, *, expect: int) -> bool:
    """Keep `waiter`, if what is there is of the version `expect`; whether it is kept."""
    data = close_value(config, _encode(waiter), WAITER, key)
    left = LOOK_AGAIN if waiter.until is None else max(waiter.until - clock.now(), 0.0)
    ttl = None if waiter.until is None else left + config.record_ttl
    return await backend.put(WAITER, key, data, expect=expect, ttl=ttl) is not None


def read_waiter(config: Config, entry: Entry) -> Waiter:
    """The waiter in an entry.

    Raises:
        SerializationError: it is none, or not sealed as `config` asks.
    """
    try:
        return _decode(open_value(config, entry.value, WAITER, entry.key))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"what waits in {entry.key} cannot be read: {error}") from error
