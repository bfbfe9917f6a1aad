"""What ran, how often and when: one memory-mapped file a worker process, written by the task itself.

Nothing of a queue is needed to read it, so it can prove that no job was lost and none ran twice. Only the standard
library: worker processes of every system import it.
"""

from __future__ import annotations

import mmap
import os
import threading
from array import array
from collections.abc import Callable
from pathlib import Path
from time import monotonic_ns

FOLDER = "BENCH_TALLY"  # where the files lie
SIZE = "BENCH_TALLY_SIZE"  # jobs are numbered 0 ... SIZE - 1
STAMPS = "BENCH_TALLY_STAMPS"  # "1": also keep when each job started
HEADER = 64  # bytes; the first eight hold the start of the process' first job, monotonic ns
STAMP = 8  # bytes

_opening = threading.Lock()
_write: Callable[[int], None] | None = None


def mark(index: int) -> None:
    """Note that job `index` runs now. About 0.2 µs."""
    (_write or _open())(index)


def _open() -> Callable[[int], None]:
    global _write
    with _opening:
        if _write is None:
            _write = _writer()
        return _write


def _writer() -> Callable[[int], None]:
    size, stamped = int(os.environ[SIZE]), os.environ.get(STAMPS) == "1"
    length = HEADER + size + (size * STAMP if stamped else 0) + STAMP
    with (Path(os.environ[FOLDER]) / f"{os.getpid()}.tally").open("w+b") as file:
        file.truncate(length)
        mapped = mmap.mmap(file.fileno(), length)
    mapped[:] = bytes(length)  # touch every page now: the worker's memory must not grow by ours later
    view = memoryview(mapped)
    head, counts = view[:HEADER].cast("q"), view[HEADER : HEADER + size]
    start = HEADER + size + (-(HEADER + size) % STAMP)
    stamps = view[start : start + size * STAMP].cast("q") if stamped else None

    def write(index: int) -> None:
        if not head[0]:
            head[0] = monotonic_ns()
        if stamps is not None:
            stamps[index] = monotonic_ns()
        counts[index] += 1

    return write


def _forget() -> None:
    global _write
    _write = None


os.register_at_fork(after_in_child=_forget)


class Tally:
    """The harness' view of all the files in `folder`, for jobs 0 ... `size` - 1."""

    def __init__(self, folder: Path, size: int, *, stamps: bool = False) -> None:
        self.folder = folder
        self.size = size
        self.environment = {FOLDER: str(folder), SIZE: str(size), STAMPS: "1" if stamps else "0"}

    def _files(self) -> dict[int, bytes]:
        files = {int(path.stem): path.read_bytes() for path in self.folder.glob("*.tally")}
        return {pid: data for pid, data in files.items() if len(data) >= HEADER + self.size}

    def first(self) -> int | None:
        """When the first job of all started, monotonic ns."""
        starts = [int.from_bytes(data[:STAMP], "little") for data in self._files().values()]
        return min((start for start in starts if start), default=None)

    def look(self) -> tuple[int, list[int]]:
        """How many jobs have run (each counted once a process), and the pids that ran any; cheap enough to poll."""
        files = self._files()
        ran = sum(self._ran(data) for data in files.values())
        return ran, [pid for pid, data in files.items() if any(data[:STAMP])]

    def _ran(self, data: bytes) -> int:
        return self.size - data.count(0, HEADER, HEADER + self.size)

    def shares(self) -> list[int]:
        """How many jobs each process ran."""
        return [self._ran(data) for data in self._files().values()]

    def verdict(self, jobs: int) -> tuple[int, int]:
        """Of jobs 0 ... `jobs` - 1: how many never ran, and how many ran more than once."""
        totals = [data[HEADER : HEADER + jobs] for data in self._files().values()]
        counts = [sum(column) for column in zip(*totals, strict=True)] if totals else [0] * jobs
        return counts.count(0), sum(count > 1 for count in counts)

    def stamps(self) -> list[int]:
        """When each job started, monotonic ns; 0 where it did not."""
        merged = [0] * self.size
        start = HEADER + self.size + (-(HEADER + self.size) % STAMP)
        for data in self._files().values():
            values = array("q")
            values.frombytes(data[start : start + self.size * STAMP])
            merged = [max(pair) for pair in zip(merged, values, strict=True)]
        return merged
