"""What a worker and its children say to each other: length-prefixed MessagePack over a socket. No pickle, no code.

Arguments and results are the JSON they are on the wire everywhere else; nobody on the worker's side decodes them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from naq.backends.stacks import Frame
from naq.context import Context
from naq.inside.notes import Line
from naq.retry import RetryWire
from naq.worker.processes.source import Source
from naq.worker.ruling import Ruling

_LENGTH: Final = struct.Struct(">I")
#: Bytes of one message. Payloads and results end at 64 MiB; more is noise of somebody who writes to our socket.
MAX_FRAME: Final = 128 * 1024 * 1024


class Setup(Struct, frozen=True, tag="setup"):
    """The first message to a child: who it belongs to and where its tasks are.

    Attributes:
        parent: process id of the worker.
        path: its `sys.path`.
        source: where the tasks are.
        levels: log levels by logger; the root's under "".
        memory: bytes that the child may take from when it is ready; 0: no limit.
        max_result: bytes.
    """

    parent: int
    path: list[str]
    source: Source
    levels: dict[str, int]
    memory: int
    max_result: int


class Run(Struct, frozen=True, tag="run"):
    """Run one job. `address` is where its function is, as ``module:qualname``, if that can be said."""

    context: Context
    address: str | None
    codec: str
    args: bytes
    kwargs: bytes
    values: dict[str, bytes]
    retry: RetryWire | None
    timeout: float | None
    version: int


class Cancel(Struct, frozen=True, tag="cancel"):
    """The job that runs is to end: `Context.is_cancelled` is set, and a coroutine is cancelled."""

    job_id: str


class Look(Struct, frozen=True, tag="look"):
    """Say where the job is in its code (`Seen`)."""


class Ready(Struct, frozen=True, tag="ready"):
    """The child has imported its tasks."""


class Unusable(Struct, frozen=True, tag="unusable"):
    """It could not, and ends."""

    reason: str


class Began(Struct, frozen=True, tag="began"):
    """It has the job. A child that dies before it says so has run nothing of it."""


class Missing(Struct, frozen=True, tag="missing"):
    """It knows no such task; nothing of the job has run."""

    reason: str


class Ended(Struct, frozen=True, tag="ended"):
    """The job's code has ended: with a result (encoded), or with what follows from what it raised.

    Attributes:
        rss: bytes of memory the child holds now.
    """

    result: bytes | None
    ruling: Ruling | None
    rss: int


class Said(Struct, frozen=True, tag="said"):
    """A log record, its text made already."""

    name: str
    level: int
    text: str
    created: float
    where: tuple[str, int, str]
    fields: dict[str, Any]


class Noted(Struct, frozen=True, tag="noted", omit_defaults=True):
    """The job's code has reported something: progress, a metric, or a log line."""

    value: float | None = None
    message: str | None = None
    metric: str = ""
    line: Line | None = None


class Seen(Struct, frozen=True, tag="seen"):
    """The calls of the job that have not returned, the outermost first; none where it has none."""

    frames: list[Frame]


ToChild = Setup | Run | Cancel | Look
ToWorker = Ready | Unusable | Began | Missing | Ended | Said | Noted | Seen
M = TypeVar("M")

_encode: Final = msgspec.msgpack.Encoder().encode
to_child: Final = msgspec.msgpack.Decoder(ToChild)
to_worker: Final = msgspec.msgpack.Decoder(ToWorker)


def frame(message: ToChild | ToWorker) -> bytes:
    """`message` as it goes over the socket."""
    data = _encode(message)
    return _LENGTH.pack(len(data)) + data


class Frames:
    """Bytes as they come -> messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes, decoder: msgspec.msgpack.Decoder[M]) -> Iterator[M]:
        """The messages that are complete with `data`.

        Raises:
            ValueError: what comes is none of ours.
        """
        buffer = self._buffer
        buffer += data
        while len(buffer) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer)
            if length > MAX_FRAME:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(buffer) < end:
                return
            body = bytes(buffer[_LENGTH.size : end])
            del buffer[:end]
            yield decoder.decode(body)
