"""What is stored of events and of their handlers. Pure: forms, patterns, ids."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Raw, Struct

from naq.backends.base import Event
from naq.codec.envelope import VERSION, Envelope, encode_envelope
from naq.codec.sealing import close_value, open_value, seal_for
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError
from naq.job import JobSpec, Priority

if TYPE_CHECKING:
    from naq.backends.base import Entry
    from naq.config import Config

KIND: Final = "event"  # of the log
QUEUE: Final = "events"  # what stands in the place of a queue
HANDLER: Final = "handler"  # of entries
NAME, ID, KEY = "Naq-Event", "Naq-Event-Id", "Naq-Event-Key"  # headers of a handler's job
_PATTERN: Final = re.compile(r"([A-Za-z0-9_-]{1,64}|\*)(\.([A-Za-z0-9_-]{1,64}|\*))*(\.>)?|>", re.ASCII)
_encode: Final = msgspec.json.Encoder().encode


class Published(Struct, frozen=True, omit_defaults=True):
    """An event as it is stored.

    Attributes:
        name: what has happened: ``order.placed``.
        data: what is known of it, JSON.
        key: of what it has happened, for `Context.wait_for_event`; "": nothing in particular.
        parent, root: the job that published it, as in `Envelope`.
    """

    name: str
    data: Raw = Raw(b"null")
    key: str = ""
    parent: str = ""
    root: str = ""


class Handler(Struct, frozen=True, omit_defaults=True):
    """A task that is called with the data of events, as every worker knows it.

    Attributes:
        task: its name.
        patterns: the events it is for.
        queue, priority: where its jobs go.
        after: the cursor behind which events are for it; None: from the retained start.
        since: UNIX seconds from which on events are for it; None: any.
        joined: whether those that were there when it came are dealt with.
        version: that of the task's parameters: a handler takes an event as it takes it now.
    """

    task: str
    patterns: list[str]
    queue: str = "default"
    priority: Priority = "normal"
    after: str | None = None
    since: float | None = None
    joined: bool = False
    version: int = 1


class _Sealed(Struct):
    sealed: str


_read_published: Final = msgspec.json.Decoder(Published).decode
_read_handler: Final = msgspec.json.Decoder(Handler).decode
_read_sealed: Final = msgspec.json.Decoder(_Sealed).decode


def check_pattern(pattern: str) -> str:
    """`pattern`, if it can be one: words of event names, ``*`` for any one word, ``>`` at the end for all that follow.

    Raises:
        ConfigurationError: says what is allowed.
    """
    if not isinstance(pattern, str) or not _PATTERN.fullmatch(pattern):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(
            f"event pattern {pattern!r:.80} is not allowed: use words joined by '.', each of letters, digits, '_' and "
            "'-', or '*' for any one word; '>' at the end for all that follow"
        )
    return pattern


def matches(pattern: str, name: str) -> bool:
    """Whether the event `name` fits `pattern`."""
    wanted, words = pattern.split("."), name.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(words) <= len(wanted):
            return False
        words = words[: len(wanted)]
    return len(wanted) == len(words) and all(each in {"*", word} for each, word in zip(wanted, words, strict=True))


def write_event(config: Config, event_id: str, published: Published, at: float) -> Event:
    """`published` for the log.

    Raises:
        PayloadTooLarge: it is over `max_payload`.
    """
    data = _encode(published)
    closed = close_value(config, data, KIND, event_id)
    if closed is not data:
        data = _encode(_Sealed(closed.decode()))
    if len(data) > config.max_payload:
        raise PayloadTooLarge(
            f"event {published.name} is {len(data)} bytes, more than the limit of {config.max_payload} (max_payload): "
            "store the data elsewhere and publish a reference"
        )
    return Event(kind=KIND, job_id=event_id, queue=QUEUE, data=data, at=at)


def read_event(config: Config, event: Event) -> Published:
    """What was published.

    Raises:
        SerializationError: it is nothing of the kind, or is not signed or encrypted as `config` asks.
    """
    data = event.data
    try:
        if data.startswith(b'{"sealed"'):
            data = _read_sealed(data).sealed.encode()
        return _read_published(open_value(config, data, KIND, event.job_id))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"event {event.job_id} cannot be read: {error}") from error


def write_handler(config: Config, handler: Handler) -> bytes:
    """`handler` for its entry."""
    return close_value(config, _encode(handler), HANDLER, handler_key(handler.task))


def read_handler(config: Config, entry: Entry) -> Handler:
    """The handler in an entry.

    Raises:
        SerializationError: it is none, or is not signed or encrypted as `config` asks.
    """
    try:
        return _read_handler(open_value(config, entry.value, HANDLER, entry.key))
    except msgspec.MsgspecError as error:
        raise SerializationError(f"the handler of events in {entry.key} cannot be read: {error}") from error


def handler_key(task: str) -> str:
    """Under which key the handler `task` is kept."""
    return hashlib.sha256(task.encode()).hexdigest()[:32]


def job_of(config: Config, handler: Handler, event_id: str, published: Published, now: float) -> JobSpec:
    """The job that `handler` has to do for an event: always the same id, so that it is done once.

    Raises:
        PayloadTooLarge: it is over `max_payload`.
    """
    digest = hashlib.sha256(f"{event_id}\n{handler.task}".encode()).hexdigest()
    job_id = f"event-{digest[:40]}"
    envelope = Envelope(
        v=VERSION,
        task=handler.task,
        args=Raw(b"[" + bytes(published.data) + b"]"),
        at=now,
        parent=published.parent,
        root=published.root,
        version=handler.version,
    )
    payload = encode_envelope(envelope, limit=config.max_payload)
    if (seal := seal_for(config)) is not None:
        limit = config.max_payload
        payload = seal.seal_job(payload, job_id=job_id, queue=handler.queue, task=handler.task, at=now, limit=limit)
    headers = {NAME: published.name, ID: event_id}
    if published.key:
        headers[KEY] = published.key
    return JobSpec(id=job_id, payload=payload, queue=handler.queue, priority=handler.priority, headers=headers)
