"""The notes of one attempt on their way to the log: coalesced, in bounds, from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq import clock
from naq.inside.notes import LOG, METRIC, PROGRESS, Line, Lines, Metric, Progress, write_note

if TYPE_CHECKING:
    from naq.backends.base import Event
    from naq.config import Config
    from naq.context import Context

#: Lines kept of the end of an attempt that logged more than is kept.
TAIL: Final = 100
#: Metrics of an attempt that wait to be written at most; the oldest give way.
MOST_METRICS: Final = 10_000
#: Characters of one line that are kept.
LONGEST: Final = 16_384
#: Lines in one event, and characters of them: a page of the log stays small enough to be shown at once, and what
#: 6 bytes a character and encryption make of it is below what every broker takes.
AT_ONCE, CHARACTERS_AT_ONCE = 200, 65_536


class Taken:
    """The notes of one attempt. `touch` is called whenever there is something new to write."""

    def __init__(self, context: Context, config: Config, touch: Callable[[Taken], None]) -> None:
        self.context: Final = context
        self._config = config
        self._touch = touch
        self._lock = threading.Lock()
        self._now = Progress(run=context.run, attempt=context.attempt)
        self._written = self._now
        self._reports = self._wrote = False  # whether it has reported progress, and whether that was written
        self._written_at = float("-inf")
        self._metrics: deque[Metric] = deque(maxlen=MOST_METRICS)
        self._lines: list[Line] = []
        self._tail: deque[Line] = deque(maxlen=TAIL)
        self._kept_lines = self._kept_bytes = self._dropped = self._missed = 0

    def progress(self, value: float | None, message: str | None) -> None:
        """See `Notes.progress`. A value below the highest so far changes nothing."""
        with self._lock:
            before, self._reports = self._now, True
            self._now = replace(
                before,
                value=before.value if value is None else max(before.value, value),
                message=before.message if message is None else message,
            )
            if not self._is_news():
                return
        self._touch(self)

    def metric(self, name: str, value: float) -> None:
        """See `Notes.metric`."""
        context = self.context
        with self._lock:
            if len(self._metrics) == MOST_METRICS:
                self._missed += 1
            self._metrics.append(
                Metric(run=context.run, attempt=context.attempt, name=name, value=value, at=clock.now())
            )
        self._touch(self)

    def line(self, line: Line) -> None:
        """See `Notes.line`."""
        if len(line.text) > LONGEST:
            line = replace(line, text=f"{line.text[:LONGEST]}… ({len(line.text)} characters)")
        size = len(line.text)
        with self._lock:
            config = self._config
            if self._kept_lines >= config.job_log_lines or self._kept_bytes + size > config.job_log_bytes:
                self._kept_lines = config.job_log_lines  # over one limit it is over both: what follows is the tail
                self._dropped += 1
                self._tail.append(line)
                return
            self._kept_lines += 1
            self._kept_bytes += size
            self._lines.append(line)
        self._touch(self)

    def take(self, now: float, *, last: bool = False) -> tuple[list[Event], float | None]:
        """What is to be written at `now` (monotonic), and when to ask again (None: when it is touched).

        `last`: the attempt has ended, so that nothing is kept back.
        """
        config, context = self._config, self.context
        events: list[Event] = []
        again: float | None = None
        with self._lock:
            lines, self._lines = self._lines, []
            metrics = list(self._metrics)
            self._metrics.clear()
            tail, dropped = list(self._tail), self._dropped
            if last:
                self._tail.clear()
                self._dropped = 0
            if self._is_news(at_all=last):
                due = self._written_at + config.progress_interval
                if now >= due or last:
                    events.append(write_note(config, PROGRESS, self._now, context))
                    self._written, self._written_at, self._wrote = self._now, now, True
                else:
                    again = due
        parts = [Lines(run=context.run, attempt=context.attempt, lines=part) for part in _parts(lines)]
        if last and dropped and config.job_log_lines:
            first, *more = _parts(tail)
            parts.append(Lines(run=context.run, attempt=context.attempt, lines=first, dropped=dropped - len(tail)))
            parts += [Lines(run=context.run, attempt=context.attempt, lines=part) for part in more]
        events += [write_note(config, LOG, part, context) for part in parts]
        events += [write_note(config, METRIC, metric, context) for metric in metrics]
        return events, again

    def missed(self) -> int:
        """How many metrics gave way to later ones since this was asked last."""
        with self._lock:
            missed, self._missed = self._missed, 0
        return missed

    def _is_news(self, *, at_all: bool = False) -> bool:
        """Whether the progress is worth a write. `at_all`: any change is."""
        if not self._wrote:
            return self._reports
        now, written = self._now, self._written
        grown = now.value - written.value
        if now.message != written.message:
            return True
        return grown > 0.0 and (at_all or now.value >= 1.0 or grown >= self._config.progress_delta)


def _parts(lines: Sequence[Line]) -> list[list[Line]]:
    """`lines` in as many parts as there are events."""
    parts: list[list[Line]] = []
    room = 0
    for line in lines:
        room -= len(line.text)
        if not parts or room < 0 or len(parts[-1]) == AT_ONCE:
            parts.append([])
            room = CHARACTERS_AT_ONCE - len(line.text)
        parts[-1].append(line)
    return parts
