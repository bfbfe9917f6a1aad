"""The notes of one attempt on their way to the log: coalesced, in bounds, from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
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
#: Lines in one event; a page of the log stays small enough to be shown at once.
AT_ONCE: Final = 200


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
        self._kept_lines = self._kept_bytes = self._dropped = 0

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
        for start in range(0, len(lines), AT_ONCE):
            part = Lines(run=context.run, attempt=context.attempt, lines=lines[start : start + AT_ONCE])
            events.append(write_note(config, LOG, part, context))
        if last and dropped and config.job_log_lines:
            rest = Lines(run=context.run, attempt=context.attempt, lines=tail, dropped=dropped - len(tail))
            events.append(write_note(config, LOG, rest, context))
        events += [write_note(config, METRIC, metric, context) for metric in metrics]
        return events, again

    def _is_news(self, *, at_all: bool = False) -> bool:
        """Whether the progress is worth a write. `at_all`: any change is."""
        if not self._wrote:
            return self._reports
        now, written = self._now, self._written
        grown = now.value - written.value
        if now.message != written.message:
            return True
        return grown > 0.0 and (at_all or now.value >= 1.0 or grown >= self._config.progress_delta)
