"""Writing and reading operation logs."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from naq import clock
from naq.context import current_context
from naq.exceptions import NaqConnectionError
from naq.testing.chaos import ops

SUFFIX: Final = ".jsonl"


class OpLog:
    """An operation log that any number of processes and threads may append to.

    Each operation is one line and one write to a file opened for appending, so lines of several writers never mix and
    a process that is killed never leaves half of one. It is not synced: the log survives processes, not the machine.
    """

    def __init__(self, path: Path) -> None:
        self.path: Final = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._numbers = count(1)

    def close(self) -> None:
        """Nothing can be written any more."""
        os.close(self._file)

    def write(self, op: ops.Op) -> None:
        """Append `op`.

        Raises:
            OSError: the disk did not take it.
        """
        line = ops.encode(op) + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError(f"{self.path}: only {written} of {len(line)} bytes of a line were written")

    @contextmanager
    def execution(self) -> Generator[None]:
        """Log the execution of the current job: its start, and how the block ended."""
        context, number = current_context(), next(self._numbers)

        def say(stage: ops.Step) -> None:
            self.write(
                ops.Execution(
                    stage=stage,
                    job=context.job_id,
                    at=clock.now(),
                    pid=os.getpid(),
                    run=context.run,
                    attempt=context.attempt,
                    number=number,
                )
            )

        say("start")
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):
            say("interrupted")
            raise
        except BaseException:
            say("raised")
            raise
        say("returned")

    @contextmanager
    def enqueuing(self, job_ids: Iterable[str], *, deadline: float = 0.0) -> Generator[set[str]]:
        """Log that the block stores these jobs: ``ok``, or by what it raises ``unknown`` or ``fail``.

        Put the ids that turned out to be duplicates into the set that it gives. `deadline`: seconds the call may take.
        """
        ids, duplicates, number = list(job_ids), set[str](), next(self._numbers)

        def say(stage: ops.Stage, *, error: str = "") -> None:
            for job_id in ids:
                self.write(
                    ops.Enqueue(
                        stage=stage,
                        job=job_id,
                        at=clock.now(),
                        pid=os.getpid(),
                        duplicate=stage == "ok" and job_id in duplicates,
                        error=error,
                        deadline=deadline if stage == "invoke" else 0.0,
                        number=number,
                    )
                )

        say("invoke")
        try:
            yield duplicates
        except NaqConnectionError as error:
            say("unknown", error=type(error).__name__)
            raise
        except Exception as error:
            # Of several, those before the refused one may be stored.
            say("fail" if len(ids) == 1 else "unknown", error=type(error).__name__)
            raise
        say("ok")

    def handler(self) -> logging.Handler:
        """A log handler that keeps what it gets in this log."""
        return _Handler(self)


class _Handler(logging.Handler):
    def __init__(self, log: OpLog) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        kind = record.exc_info[0] if record.exc_info else None
        self._log.write(
            ops.Line(
                level=record.levelname,
                logger=record.name,
                text=record.getMessage(),
                at=record.created,
                pid=os.getpid(),
                failure="" if kind is None else kind.__name__,
            )
        )


def read_ops(folder: Path) -> list[ops.Op]:
    """All operations in the logs of `folder`, oldest first.

    Raises:
        ValueError: a line is not an operation; says which. A log that cannot be read proves nothing.
    """
    found = [op for path in sorted(folder.glob(f"*{SUFFIX}")) for op in _read(path)]
    return sorted(found, key=lambda op: op.at)


def _read(path: Path) -> Iterator[ops.Op]:
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            yield ops.decode(line)
        except msgspec.DecodeError as error:
            raise ValueError(f"{path}:{number} is no operation: {error}") from error
