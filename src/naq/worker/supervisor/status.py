"""What a worker process tells its supervisor: one JSON object a line over the socket between them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from naq.worker.vitals import Numbers, Report

#: The variable by which a supervisor tells a worker process that it has one, and its process id.
VARIABLE: Final = "_NAQ_SUPERVISOR"
#: Seconds between two looks at oneself; seconds after which one speaks up although nothing has changed; and seconds of
#: silence after which a supervisor takes a worker process for not ready.
LOOK, SPEAK, SILENT = 1.0, 5.0, 15.0


class Status(Struct, frozen=True):
    """How a worker process is; `retiring` is why it is about to end by itself.

    `dismissed`: somebody told it to go (`naq.worker.orders`), and nobody is to take its place. `numbers`: what it
    counts, for the supervisor's ``/metrics``.
    """

    report: Report
    retiring: str = ""
    dismissed: bool = False
    numbers: Numbers | None = None


_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Status).decode


def line(status: Status) -> bytes:
    """`status` as it goes over the socket."""
    return _encode(status) + b"\n"


class Lines:
    """Bytes as they come -> statuses. What is none is left out: only our own program talks here."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Status]:
        """The statuses that are complete with `data`."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for each in lines:
            try:
                yield _decode(each)
            except msgspec.DecodeError:
                continue
