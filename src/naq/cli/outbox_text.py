"""A row of an outbox, as it is shown."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from naq import clock
from naq.cli.output import moment
from naq.outbox.rows import Kept

RowState = Literal["waiting", "sending", "put off", "stuck"]


class RowView(Struct, frozen=True, kw_only=True):
    """A row: ``naq outbox list|show``. `due_at` is when it is tried again, where it is put off."""

    id: str
    state: RowState
    queue: str
    task: str
    tries: int
    created_at: datetime | None
    due_at: datetime | None
    stuck_at: datetime | None
    reason: str
    spec: str
    payload: str

    @classmethod
    def of(cls, row: Kept) -> RowView:
        """`row` as it is printed."""
        state = state_of(row)
        return cls(
            id=row.job_id,
            state=state,
            queue=row.queue,
            task=row.task,
            tries=row.tries,
            created_at=moment(row.created_at),
            due_at=moment(row.due_at) if state == "put off" else None,
            stuck_at=moment(row.stuck_at or 0.0),
            reason=row.reason or "",
            spec=row.spec,
            payload=row.payload.decode(errors="replace"),
        )


def state_of(row: Kept) -> RowState:
    """How far `row` has come: one that a relay has is "sending", until its lease ends."""
    if row.stuck_at is not None:
        return "stuck"
    if row.due_at <= clock.now():
        return "waiting"
    return "put off" if row.reason else "sending"
