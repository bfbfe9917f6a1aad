"""Named points that core code passes, where a test can make the process die, wait, or fail.

In production a point costs one comparison. Armed by ``NAQ_FAULT`` before the process starts, or by `arm`::

    NAQ_FAULT=complete.after_record:kill:p=0.1:seed=7
    NAQ_FAULT=run.before_start:stop                      several are joined by ';'

Actions: ``kill`` (SIGKILL to oneself), ``stop`` (SIGSTOP; somebody must send SIGCONT), ``raise`` (a RuntimeError),
``exit`` (``os._exit(7)``). Parameters: ``p`` probability (default 1), ``seed`` of its generator, ``after`` how many
passes to let through first, ``mark`` a file to create before acting (so that it acts once: an existing file disarms).
"""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path
from typing import Final

POINTS: Final = frozenset(
    {
        "run.before_start",  # delivered, nothing started (fault 1)
        "run.mid_task",  # the task has begun (fault 2)
        "run.after_task",  # the task returned, no record yet (fault 3)
        "complete.record_sent",  # record published, its acknowledgement not seen (fault 4)
        "complete.after_record",  # record stored, message not acked (fault 5)
        "retry.after_timer",  # timer stored, message not acked (fault 6)
        "discard.after_dead",  # dead letter stored, no record (fault 7)
        "release.decided",  # the last parent has ended, the child is not released (fault 8)
        "release.after_edge",  # child released, and nobody has noted it (fault 8)
        "schedule.after_timers",  # the jobs of ticks stored, and not noted yet (fault 66)
        "step.ran",  # the code of a durable step has run, and nothing of it is kept
        "step.kept",  # what came of it is kept, and the task does not know yet
        "wait.registered",  # a task waits for an event, and has not put itself off yet
        "stream.written",  # a part of a stream is stored, and more is to come
        "move.aside",  # jobs in line have a timer besides that would replace them there
        "move.taken",  # they are out of line, and only that timer is left
        "enqueue.mid_batch",  # some of a batch is stored (fault 24)
        "outbox.row_written",  # a job is a row, and its transaction is open
        "outbox.claimed",  # a relay has taken rows, nothing of them is sent
        "outbox.sent",  # they are sent, and still there
        "ingest.before_commit",  # a batch of events is written, and not kept
        "ingest.after_commit",  # it is kept, and nobody has been told
    }
)


class _Fault:
    def __init__(self, action: str, options: dict[str, str]) -> None:
        self.action = action
        self.p = float(options.get("p", "1"))
        self.rng = random.Random(int(options["seed"]) if "seed" in options else None)
        self.after = int(options.get("after", "0"))
        self.mark = Path(options["mark"]) if "mark" in options else None

    def strike(self, name: str) -> None:
        if self.after > 0:
            self.after -= 1
            return
        if self.rng.random() >= self.p:
            return
        if self.mark is not None:
            try:
                self.mark.touch(exist_ok=False)
            except FileExistsError:
                return
        match self.action:
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
            case "exit":
                os._exit(7)
            case _:
                raise RuntimeError(f"fault point {name} was armed to raise")


_armed: dict[str, _Fault] = {}


def fault(name: str) -> None:
    """Pass the point `name`: nothing happens unless it is armed."""
    if _armed and (armed := _armed.get(name)) is not None:
        armed.strike(name)


def is_armed(name: str) -> bool:
    """Whether anything happens at the point `name`; for places where passing it takes preparation."""
    return bool(_armed) and name in _armed


def arm(spec: str) -> None:
    """Arm what `spec` names (see the module's text); an empty one disarms everything.

    Raises:
        ValueError: for a point that does not exist or an unknown action.
    """
    _armed.clear()
    for part in filter(None, spec.split(";")):
        name, action, *rest = part.split(":")
        if name not in POINTS:
            raise ValueError(f"no fault point {name!r}; there are {', '.join(sorted(POINTS))}")
        if action not in {"kill", "stop", "raise", "exit"}:
            raise ValueError(f"unknown fault action {action!r}: kill, stop, raise or exit")
        _armed[name] = _Fault(action, dict(option.split("=", 1) for option in rest))


if "NAQ_FAULT" in os.environ:
    arm(os.environ["NAQ_FAULT"])
