"""What a drain did."""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from naq.handle import failure
from naq.job import AttemptError, JobRecord, JobState


class Drained(Struct, frozen=True, kw_only=True):
    """What a drain ran.

    Attributes:
        runs: attempts that were made, of whatever jobs.
        records: the jobs that ended, in the order in which they did.
        waiting: jobs that are left, due later, held back or out of the drain's reach.
    """

    runs: int = 0
    records: list[JobRecord] = []
    waiting: int = 0

    @property
    def succeeded(self) -> list[JobRecord]:
        """The jobs that succeeded."""
        return [record for record in self.records if record.state is JobState.SUCCEEDED]

    @property
    def failed(self) -> list[JobRecord]:
        """The jobs that failed for good."""
        return [record for record in self.records if record.state is JobState.FAILED]

    def __str__(self) -> str:
        states = Counter(record.state.value for record in self.records)
        ended = ", ".join(f"{count} {state}" for state, count in states.items()) or "no job ended"
        return f"{self.runs} attempts: {ended}; {self.waiting} jobs left"

    def check(self) -> None:
        """Raise what the first job that failed was ended by, with its traceback as a note; nothing where none failed.

        Raises:
            JobExecutionError: it failed for good.
        """
        for record in self.failed:
            error = failure(record)
            if record.error is not None and record.error.frames:
                error.add_note(_traceback(record.error))
            raise error


def _traceback(error: AttemptError) -> str:
    lines = ["In the task:"]
    for frame in error.frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.source:
            lines.append(f"    {frame.source.strip()}")
    return "\n".join([*lines, f"{error.type}: {error.message}"])
