"""Would a worker with this code take a stored job? The worker's own steps, up to where it would call the function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from naq import clock
from naq.check.findings import Problem
from naq.codec.envelope import ENCRYPTED, JSON, PICKLE, Envelope
from naq.codec.peek import peek
from naq.codec.reader import Reader
from naq.codec.sealing import seal_for
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from naq.job import JobSpec
from naq.retry import Retry
from naq.worker.arguments import read_arguments
from naq.worker.tasks import ImportPathRefused, Tasks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from naq.app import Naq
    from naq.config import Config
    from naq.task import Task

_LONGEST: Final = 300  # characters of a reason: what a validator says may be anything


class _Outside(Struct):
    codec: str = JSON


_outside: Final = msgspec.json.Decoder(_Outside).decode


class Judge:
    """Judges jobs by `app`, its settings (`config`: the same but for the broker), and the modules in `imports`.

    Attributes:
        expired: how many had expired, and were looked at no further.
        unread: how many have arguments that were not looked into.
    """

    def __init__(self, app: Naq, config: Config, imports: Sequence[str] = ()) -> None:
        self._tasks = Tasks(app, [*config.imports, *imports])
        self._read = Reader(config)
        self._sealed = seal_for(config) is not None
        self._codecs = {JSON, config.codec}
        self.expired = 0
        self.unread = 0

    def job(self, spec: JobSpec) -> Problem | None:
        """What is wrong with a job; None where it would run."""
        try:
            envelope = self._read(spec)
        except SerializationError as error:
            return self._unreadable(spec, error)
        return self.envelope(envelope)

    def envelope(self, envelope: Envelope) -> Problem | None:
        """The same of one that is open."""
        name = envelope.task
        if envelope.expires_at is not None and envelope.expires_at <= clock.now():
            self.expired += 1
            return None
        try:
            task = self._tasks.find(name)
        except ImportPathRefused:
            return Problem("refused path", name, "workers import only what they are told to (-m, imports)")
        if task is None:
            return Problem("unknown task", name, "neither the app nor an imported module has such a task")
        return self._fits(task, envelope)

    def _fits(self, task: Task[..., object], envelope: Envelope) -> Problem | None:
        name, versions = envelope.task, task.versions
        try:
            versions.check(envelope.version)
        except SerializationError as error:
            newer = envelope.version > versions.current
            return Problem("newer version" if newer else "no upcaster", name, _short(error))
        try:
            if envelope.retry is not None:
                Retry.from_wire(envelope.retry, task.declared.retry)
        except ConfigurationError as error:
            return Problem("malformed", name, _short(error))
        if envelope.codec == PICKLE:
            self.unread += 1  # reading it would run whatever its producer put into it
            return None
        holes = () if envelope.after is None else tuple(envelope.after.fill)
        try:
            if holes:  # what the other jobs will return nobody knows; all else has to fit
                versions.signature(envelope.version).check_around(envelope.args, envelope.kwargs, holes)
            else:
                read_arguments(task, envelope.codec, envelope.args, envelope.kwargs, {}, envelope.version)
        except SerializationError as error:
            return Problem("arguments", name, _short(error))
        except Exception as error:  # noqa: BLE001  upcasters and validators of the user's types may raise anything
            return Problem("arguments", name, f"{type(error).__name__}: {_short(error)}")
        return None

    def _unreadable(self, spec: JobSpec, error: SerializationError) -> Problem:
        task, reason = peek(spec.payload).task[:200], _short(error).removeprefix("malformed job: ")
        if isinstance(error, PayloadTooLarge):
            return Problem("malformed", task, "it is over max_payload")
        try:
            codec = _outside(spec.payload).codec
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return Problem("malformed", task, reason)
        if codec == ENCRYPTED or (self._sealed and codec in self._codecs):
            return Problem("keys", task, reason)
        return Problem("malformed" if codec in self._codecs else "codec", task, reason)


def _short(error: Exception) -> str:
    text = " ".join(str(error).split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
