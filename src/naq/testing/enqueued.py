"""What a program enqueued, read back from the bytes that it stored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec
from msgspec import Raw

from naq.codec.headers import read_tags
from naq.codec.reader import Reader
from naq.job import JobSpec, Priority
from naq.task.function import find_known
from naq.worker.arguments import read_arguments

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.codec.envelope import Envelope
    from naq.config import Config

_SHOWN: Final = 80  # characters of a value in a message


class Enqueued(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it was stored, its arguments decoded as a worker would.

    Attributes:
        id: the job's id.
        task: the name of its task, or of its function (``module.function``).
        args, kwargs: what it will be called with.
        arguments: the same by the names of the parameters, without those left to their defaults.
        queue, priority: where it went.
        delay: seconds it was told to wait; 0 for none.
        run_at: UNIX seconds before which it will not start; None for at once.
        tags: what it is tagged with.
        key: what its unique key has become (one name for each key of a queue); empty for none.
        blocked: whether it waits for other jobs.
        duplicate: whether its id or its unique key was taken, so that nothing was added.
    """

    id: str
    task: str
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = {}
    arguments: Mapping[str, Any] = {}
    queue: str = "default"
    priority: Priority = "normal"
    delay: float = 0.0
    run_at: float | None = None
    tags: Mapping[str, str] = {}
    key: str = ""
    blocked: bool = False
    duplicate: bool = False

    def __str__(self) -> str:
        values = [*map(shown, self.args), *(f"{name}={shown(value)}" for name, value in self.kwargs.items())]
        facts = [f"queue={self.queue}"]
        if self.priority != "normal":
            facts.append(f"priority={self.priority}")
        if self.delay:
            facts.append(f"delay={self.delay:g} s")
        if self.tags:
            facts.append(f"tags={dict(self.tags)}")
        if self.key:
            facts.append("unique")
        if self.blocked:
            facts.append("waits for other jobs")
        if self.duplicate:
            facts.append("a duplicate: not added")
        return f"{self.task}({', '.join(values)})  {' '.join(facts)}"


class Stored(msgspec.Struct, frozen=True):
    """A job as it went over the seam, and whether it was there already."""

    spec: JobSpec
    duplicate: bool


class Decoder:
    """Reads stored jobs with the keys and codec of `config`, and the types of `app` and of functions made jobs here."""

    def __init__(self, app: Naq, config: Config) -> None:
        self._app = app
        self._config = config
        self._read = Reader(config)

    def __call__(self, stored: Stored) -> Enqueued:
        """What was enqueued."""
        spec = stored.spec
        envelope = self._read(spec)
        args, kwargs = self._arguments(envelope)
        func = self.function(envelope.task)
        return Enqueued(
            id=spec.id,
            task=envelope.task,
            args=tuple(args),
            kwargs=kwargs,
            arguments=dict(kwargs) if func is None else by_name(func, args, kwargs),
            queue=spec.queue,
            priority=spec.priority,
            delay=0.0 if spec.run_at is None else max(0.0, round(spec.run_at - envelope.at, 3)),
            run_at=spec.run_at,
            tags=read_tags(spec.headers) if spec.headers else {},
            key=spec.key,
            blocked=spec.blocked,
            duplicate=stored.duplicate,
        )

    @property
    def tasks(self) -> Collection[str]:
        """The names of the app's tasks."""
        return self._app.tasks.keys()

    def function(self, task: str) -> Callable[..., Any] | None:
        """The function behind `task`, if this process knows it."""
        if (found := self._app.tasks.get(task)) is not None:
            return found.func
        known = find_known(task, self._config.imports)
        return None if known is None else known.func

    def _arguments(self, envelope: Envelope) -> tuple[Sequence[Any], Mapping[str, Any]]:
        task = self._app.tasks.get(envelope.task)
        if envelope.after is not None:  # some may be results that nobody has yet
            return _plain(envelope.args, []), _plain(envelope.kwargs, {})
        if task is not None:
            return read_arguments(task, envelope.codec, envelope.args, envelope.kwargs, {})
        known = find_known(envelope.task, self._config.imports)
        if known is None:
            return _plain(envelope.args, []), _plain(envelope.kwargs, {})
        return known.signature(envelope.codec).decode(envelope.args, envelope.kwargs)


def by_name(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """What a call gives to each parameter of `func`; those of ``**kwargs`` by their own names."""
    signature = inspect.signature(func)
    found = dict(signature.bind_partial(*args, **kwargs).arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD and name in found:
            found.update(cast("Mapping[str, Any]", found.pop(name)))
    return found


def shown(value: object) -> str:
    """`value` for a message, short."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _plain(raw: Raw, default: Any) -> Any:
    try:
        return msgspec.json.decode(raw)
    except msgspec.DecodeError:  # pickled, and of a task that is not known here
        return default
