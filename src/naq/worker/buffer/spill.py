"""Events in a file, in order and within bounds: they outlive the worker that put them there, whatever ended it.

A header, then one frame an event: its length, a checksum, the event. The header says where the first frame is that was
not written to the log yet. Nothing is synced: a power cut may cost the last seconds, a killed process nothing.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

import msgspec

from naq.backends.base import Event
from naq.exceptions import ConfigurationError

SUFFIX: Final = ".events"
_MAGIC: Final = b"naq-ev1\n"
_HEADER: Final = struct.Struct("<8sQ")
_FRAME: Final = struct.Struct("<II")
#: Bytes of a frame at most; a length beyond it is no length. The client refuses events of 64 MiB.
_LONGEST: Final = 64 * 1024 * 1024
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Event).decode


class Spill:
    """The file at `path`, made where there is none, locked for this process until `close`, or its end.

    Attributes:
        path: where it is.
        most: bytes of it at most.

    Raises:
        BlockingIOError: another process has it.
        ConfigurationError: this system has no locks.
        OSError: it cannot be opened, or is none of ours.
    """

    def __init__(self, path: Path, most: int) -> None:
        if sys.platform == "win32":
            raise ConfigurationError("event_overflow='spill' needs file locks that Windows lacks: use another")
        import fcntl

        self.path: Final = path
        self.most: Final = most
        self._sizes: deque[int] = deque()  # of the frames, oldest first
        self._head = self._tail = _HEADER.size
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(self._fd).st_size < _HEADER.size:  # new, or its process was killed before there was more
                os.ftruncate(self._fd, 0)
                self._set_head(_HEADER.size)
            else:
                self._read()
        except BaseException:  # whatever it was, nobody else would close the file
            os.close(self._fd)
            raise

    def __len__(self) -> int:
        return len(self._sizes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._tail

    @property
    def is_gone(self) -> bool:
        """Whether somebody else removed it between our opening and our locking it."""
        return os.fstat(self._fd).st_nlink == 0

    def add(self, events: Sequence[Event]) -> bool:
        """Put `events` at the end; False, and nothing added, where there is no room for all of them.

        Raises:
            OSError: the disk is full, or broken; nothing was added.
        """
        frames = [_frame(event) for event in events]
        size = sum(map(len, frames))
        if self._tail + size > self.most and not (self._close_up() and self._tail + size <= self.most):
            return False
        _write(self._fd, b"".join(frames), self._tail)
        self._tail += size
        self._sizes.extend(map(len, frames))
        return True

    def peek(self, most: int) -> list[Event]:
        """The oldest events, at most `most` bytes of them, but one in any case; they stay until `drop`."""
        size = 0
        for each in self._sizes:
            if size and size + each > most:
                break
            size += each
        return [_decode(body) for body in _frames(memoryview(os.pread(self._fd, size, self._head)))]

    def drop(self, count: int) -> None:
        """Forget the `count` oldest: they are written."""
        for _ in range(count):
            self._head += self._sizes.popleft()
        if self._sizes:
            self._set_head(self._head)
        else:
            self._head = self._tail = _HEADER.size
            os.ftruncate(self._fd, _HEADER.size)  # first: a head behind the end is no harm, frames read twice would be
            self._set_head(self._head)

    def close(self) -> None:
        """Let go of it; it is removed where nothing is in it."""
        if not self._sizes:
            self.path.unlink(missing_ok=True)
        os.close(self._fd)

    def _close_up(self) -> bool:
        """Move what is left to the front, if there is room enough to do so without touching the old place."""
        left = self._tail - self._head
        if left + _FRAME.size > self._head - _HEADER.size:
            return False
        data = os.pread(self._fd, left, self._head)
        # An empty frame behind it: were we killed before the file is cut, what stands there would be read as more.
        _write(self._fd, data + bytes(_FRAME.size), _HEADER.size)
        self._head, self._tail = _HEADER.size, _HEADER.size + left
        self._set_head(self._head)
        os.ftruncate(self._fd, self._tail)
        return True

    def _set_head(self, head: int) -> None:
        _write(self._fd, _HEADER.pack(_MAGIC, head), 0)

    def _read(self) -> None:
        magic, head = _HEADER.unpack(os.pread(self._fd, _HEADER.size, 0))
        if magic != _MAGIC:
            raise OSError("it is no file of events of this version of naq")
        end = os.fstat(self._fd).st_size
        self._head = self._tail = min(head, end)
        if end > _HEADER.size:
            with mmap.mmap(self._fd, end, access=mmap.ACCESS_READ) as all_, memoryview(all_) as view:
                self._sizes.extend(_FRAME.size + len(body) for body in _frames(view[self._head :]))
        self._tail += sum(self._sizes)
        os.ftruncate(self._fd, self._tail)  # a frame that its process was killed over


def _frame(event: Event) -> bytes:
    data = _encode(event)
    return _FRAME.pack(len(data), zlib.crc32(data)) + data


def _frames(data: memoryview) -> Iterator[memoryview]:
    """What is in the frames in `data`, up to the first that is not whole."""
    at = 0
    while at + _FRAME.size <= len(data):
        length, checksum = _FRAME.unpack_from(data, at)
        at += _FRAME.size
        body = data[at : at + length]
        if not 0 < length <= _LONGEST or len(body) < length or zlib.crc32(body) != checksum:
            return
        yield body
        at += length


def _write(fd: int, data: bytes, at: int) -> None:
    """Write all of `data` at the place `at`."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(fd, rest, at)
        rest, at = rest[written:], at + written
