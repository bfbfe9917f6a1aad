"""Dead letters: finding some of them, and running them again, as they were or edited, no faster than asked."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from naq import clock
from naq.backends.base import DeadLetter, JobAdmin
from naq.codec.envelope import JSON, Envelope, decode_envelope, encode_envelope
from naq.codec.headers import read_tags
from naq.codec.peek import peek
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.codec.values import ENCODER
from naq.config import Config
from naq.exceptions import ConfigurationError, SerializationError
from naq.job import JobSpec

ALL: Final = 1_000_000  # letters; more than anybody keeps to look at
_named: Final = Decoder(dict[str, Raw]).decode
AT_ONCE: Final = 32  # run again at the same time, where nothing slows it down


class Search(Struct, frozen=True, kw_only=True):
    """Which letters; all that is given must fit.

    Attributes:
        queue, kind: of this queue; "failed" or "malformed".
        task: of this task; ``*`` and ``?`` stand for anything.
        reason: what the reason contains, in any case.
        tags: tags that the job has.
        since, until: died after, and before, UNIX seconds.
    """

    queue: str | None = None
    kind: str | None = None
    task: str | None = None
    reason: str | None = None
    tags: Mapping[str, str] = {}
    since: float | None = None
    until: float | None = None

    def fits(self, letter: DeadLetter) -> bool:
        """Whether `letter` is one of them."""
        return (
            self.queue in {None, letter.queue}
            and self.kind in {None, letter.kind}
            and (self.since is None or letter.at >= self.since)
            and (self.until is None or letter.at < self.until)
            and (self.reason is None or self.reason.casefold() in letter.reason.casefold())
            and (self.task is None or fnmatch.fnmatchcase(peek(letter.payload).task, self.task))
            and (not self.tags or self.tags.items() <= read_tags(letter.headers).items())
        )


async def find_letters(backend: JobAdmin, search: Search, *, limit: int = 100) -> list[DeadLetter]:
    """The newest `limit` letters that fit, newest first."""
    everything = search == Search()
    letters = await backend.dead(limit=limit if everything else ALL)
    return [letter for letter in letters if search.fits(letter)][:limit]


async def replay(backend: JobAdmin, letter_ids: Sequence[str], *, rate: float | None = None) -> list[bool]:
    """Run failed jobs again, at most `rate` in a second; for each whether that was done.

    Raises:
        ConfigurationError: a rate that is none.
    """
    if rate is None:
        done: list[bool] = []
        for start in range(0, len(letter_ids), AT_ONCE):
            part = letter_ids[start : start + AT_ONCE]
            done += await asyncio.gather(*(backend.requeue(letter_id) for letter_id in part))
        return done
    pace = Pace(rate)
    return [await pace.next() or await backend.requeue(letter_id) for letter_id in letter_ids]


class Pace:
    """Lets at most `rate` things happen in a second, evenly.

    Raises:
        ConfigurationError: it is not more than 0.
    """

    def __init__(self, rate: float) -> None:
        if not rate > 0:
            raise ConfigurationError(f"a rate of {rate!r} lets nothing happen at all; give how many a second")
        self._gap = 1 / rate
        self._due = 0.0

    async def next(self) -> None:
        """Wait until the next thing may happen."""
        now = clock.monotonic()
        begin = max(now, self._due)
        self._due = begin + self._gap
        if begin > now:
            await asyncio.sleep(begin - now)


def edited(
    letter: DeadLetter, config: Config, *, args: Sequence[Any] | None = None, kwargs: Mapping[str, Any] | None = None
) -> bytes:
    """The payload of the failed job in `letter` with other arguments, for `requeue`: sealed as `config` asks.

    `args` are instead of its positional ones; `kwargs` are put over those by name. What earlier attempts failed with is
    left out, and whom it waited for: its arguments are known now.

    Raises:
        ConfigurationError: it is no job that failed.
        SerializationError: it cannot be read here, its arguments are pickled, or the new ones have no JSON form.
        PayloadTooLarge: it is over `max_payload` with them.
    """
    if letter.kind != "failed":
        raise ConfigurationError(f"letter {letter.id} is {letter.kind}, no job that failed: there is nothing to edit")
    envelope = Reader(config)(JobSpec(id=letter.id, queue=letter.queue, payload=letter.payload))
    if envelope.codec != JSON:
        raise SerializationError(f"the arguments of job {letter.id} are pickled, and can only be run again as they are")
    named = _named(envelope.kwargs)
    try:
        named.update({name: Raw(ENCODER.encode(value)) for name, value in (kwargs or {}).items()})
        given = envelope.args if args is None else Raw(ENCODER.encode(list(args)))
        renamed = Raw(ENCODER.encode(named))
    except TypeError as error:
        raise SerializationError(f"the new arguments of job {letter.id} have no JSON form: {error}") from error
    return rewritten(letter, envelope, config, given, renamed)


def rewritten(letter: DeadLetter, envelope: Envelope, config: Config, args: Raw, kwargs: Raw) -> bytes:
    """The payload of the job in `letter`, which `envelope` was read from, with these arguments instead; as `edited`.

    Raises:
        SerializationError: no worker would take it.
        PayloadTooLarge: it is over `max_payload` with them.
    """
    changed = replace(envelope, args=args, kwargs=kwargs, errors=[], after=None)
    seal, limit = seal_for(config), config.max_payload
    payload = encode_envelope(changed, limit=limit)
    decode_envelope(payload, limit=limit)  # as whoever claims it will
    if seal is None:
        return payload
    return seal.seal_job(payload, job_id=letter.id, queue=letter.queue, task=envelope.task, at=envelope.at, limit=limit)
