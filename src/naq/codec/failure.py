"""An exception as data: type, text, frames and causes, cut to size.

The exception is somebody else's code: its ``__str__`` may raise, return ten megabytes or recurse for ever, its causes
may form a circle. Nothing of that gets out of here.
"""

from __future__ import annotations

import linecache
from collections import deque
from itertools import islice
from types import TracebackType
from typing import Any, Final, cast

from naq.job import AttemptError, Frame

MAX_MESSAGE: Final = 8192  # bytes of UTF-8
MAX_FRAMES: Final = 50
MAX_CAUSES: Final = 8
# Causes are cut shorter, so that ten attempts with all their causes stay well below a message's 1 MiB.
MAX_CAUSE_MESSAGE: Final = 1024
MAX_CAUSE_FRAMES: Final = 10
_MAX_NAME: Final = 200  # bytes of a file, function or type name, or of a source line


def describe(exc: BaseException, *, attempt: int, at: float) -> AttemptError:
    """`exc` as data, as the end of `attempt` (from 1) at `at` (UNIX seconds). Never raises, never imports.

    The message is at most 8 KiB and includes notes; at most 50 frames, with a mark where the middle is left out; at
    most 8 causes, nearest first: what an exception group holds, then ``__cause__`` or ``__context__``, and so on.
    """
    return AttemptError(
        type=_type_name(exc),
        message=_message(exc, MAX_MESSAGE),
        attempt=attempt,
        at=at,
        frames=_frames(exc, MAX_FRAMES),
        causes=[
            AttemptError(
                type=_type_name(cause),
                message=_message(cause, MAX_CAUSE_MESSAGE),
                frames=_frames(cause, MAX_CAUSE_FRAMES),
            )
            for cause in _causes(exc)
        ],
    )


def _get(thing: Any, name: str) -> Any:
    try:
        return getattr(thing, name)
    except BaseException:  # noqa: BLE001 - a foreign property may raise anything, SystemExit included; see above
        return None


def _cut(value: object, limit: int) -> str:
    """`value` as text of at most `limit` bytes that any JSON reader takes."""
    try:
        # A str subclass may lie about itself, so only str's own methods are used on what str() returns.
        start = str.__getitem__(str(value), slice(0, limit))
        data = str.encode(start, "utf-8", "backslashreplace")
    except BaseException as error:  # noqa: BLE001 - a foreign __str__ may raise anything, SystemExit included; see above
        return f"<its text cannot be shown: __str__ raised {type(error).__name__}>"
    return data[:limit].decode("utf-8", "ignore")


def _type_name(exc: BaseException) -> str:
    cls = type(exc)
    return f"{_cut(_get(cls, '__module__'), _MAX_NAME)}.{_cut(_get(cls, '__qualname__'), _MAX_NAME)}"


def _message(exc: BaseException, limit: int) -> str:
    notes = _get(exc, "__notes__")
    text = _cut(exc, limit)
    if not isinstance(notes, list):
        return text
    lines = [_cut(note, limit) for note in cast("list[object]", notes)[:MAX_CAUSES]]
    return _cut("\n".join([text, *lines]), limit)


def _frames(exc: BaseException, limit: int) -> list[Frame]:
    head: list[TracebackType] = []
    tail: deque[TracebackType] = deque(maxlen=limit - limit // 2)
    depth, step = 0, _get(exc, "__traceback__")
    while isinstance(step, TracebackType):
        if depth < limit // 2:
            head.append(step)
        else:
            tail.append(step)
        depth, step = depth + 1, step.tb_next
    left_out = depth - len(head) - len(tail)
    if not left_out:
        return [_frame(step) for step in [*head, *tail]]
    mark = Frame(file="", line=0, function=f"... {left_out + 1} frames left out ...")
    return [*map(_frame, head), mark, *map(_frame, islice(tail, 1, None))]


def _frame(step: TracebackType) -> Frame:
    code = step.tb_frame.f_code
    line = _get(step, "tb_lineno") or 0
    try:
        source = linecache.getline(code.co_filename, line).strip()
    except Exception:  # noqa: BLE001 - a source file may be gone, a directory, or in another encoding; the line is a courtesy
        source = ""
    return Frame(
        file=_cut(code.co_filename, _MAX_NAME),
        line=line,
        function=_cut(code.co_qualname, _MAX_NAME),
        source=_cut(source, _MAX_NAME),
    )


def _causes(exc: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    seen = {id(exc)}
    waiting = deque(_nearest(exc))
    while waiting and len(found) < MAX_CAUSES:
        cause = waiting.popleft()
        if id(cause) not in seen:
            seen.add(id(cause))
            found.append(cause)
            waiting.extend(_nearest(cause))
    return found


def _nearest(exc: BaseException) -> list[BaseException]:
    """What stands directly behind `exc`."""
    inside = _get(exc, "exceptions") if issubclass(type(exc), BaseExceptionGroup) else ()
    behind = _get(exc, "__cause__")
    if behind is None and not _get(exc, "__suppress_context__"):
        behind = _get(exc, "__context__")
    held = cast("tuple[object, ...]", inside)[:MAX_CAUSES] if isinstance(inside, tuple) else ()
    return [cast("BaseException", one) for one in (*held, behind) if issubclass(type(one), BaseException)]
