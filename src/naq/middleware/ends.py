"""How an attempt ended, as a middleware sees it."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from naq import clock
from naq.context import Context
from naq.exceptions import CancelJob, DiscardJob, JobExecutionError, RetryJob, SnoozeJob, TaskOutcome

End = Literal["returned", "raised", "asked", "timeout", "interrupted"]

#: What a task in a child process raised comes back as data, by name.
_ASKED: Final = frozenset(
    f"{kind.__module__}.{kind.__qualname__}" for kind in (RetryJob, SnoozeJob, DiscardJob, CancelJob, TaskOutcome)
)


def read_end(error: BaseException, context: Context) -> End:
    """What `error`, raised by the attempt of `context`, means.

    "asked": the task said how its job goes on (`RetryJob`, `SnoozeJob`, `DiscardJob`, `CancelJob`), which is no
    failure of its code. "timeout" and "interrupted": it was made to end.
    """
    if isinstance(error, TaskOutcome):
        return "asked"
    if isinstance(error, JobExecutionError) and error.error is not None and error.error.type in _ASKED:
        return "asked"
    if not isinstance(error, asyncio.CancelledError) or not context.is_cancelled:
        return "raised"
    return "timeout" if context.deadline is not None and clock.monotonic() >= context.deadline else "interrupted"
