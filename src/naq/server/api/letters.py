"""Dead letters: jobs that failed for good, and messages that are no jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from naq.backends.base import DeadLetter
from naq.codec.peek import peek
from naq.server.access.redact import Redactor
from naq.server.acting import retry_edited
from naq.server.api.gate import core_of, note
from naq.server.api.job_actions import DryRun, Edits
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Model, Moment, Page, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import LetterId
from naq.server.problems import Problem

routes = Routes("dead-letters")
MOST = 10_000  # letters that are looked at for a list: the newest; what lies further back is found by its job


class LetterItem(Model):
    """A dead letter in a list."""

    id: str
    kind: Literal["failed", "malformed"]
    queue: str
    task: str
    reason: str
    at: Moment | None
    size: int

    @classmethod
    def of(cls, letter: DeadLetter) -> LetterItem:
        """As it is shown."""
        return cls(
            id=letter.id, kind=letter.kind, queue=letter.queue, task=peek(letter.payload).task,
            reason=letter.reason, at=at_seconds(letter.at), size=len(letter.payload),
        )  # fmt: skip


class LetterDetail(LetterItem):
    """A dead letter, whole. `payload` as text where it may be shown: bytes that are none are U+FFFD."""

    headers: dict[str, str]
    payload: str


@routes.add("GET", "/dead-letters", "listDeadLetters", "List dead letters",
            problems=("cursor_invalid", "cursor_mismatch", *BROKER))  # fmt: skip
async def list_letters(
    request: Request,
    response: Response,
    kind: Annotated[Literal["failed", "malformed"] | None, Query()] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[LetterItem]:
    """Of the newest ten thousand, by id."""
    core = core_of(request)
    async with core.asking() as backend:
        found = await backend.dead(limit=MOST)
    rows = [one for one in found if kind in {None, one.kind}]
    return sliced(
        core, request, response, rows, LetterItem.of, about=f"letters {kind}", limit=limit, cursor=cursor,
        key=lambda one: one.id,
    )  # fmt: skip


@routes.add("GET", "/dead-letters/{letter_id}", "getDeadLetter", "Show a dead letter", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def get_letter(request: Request, letter_id: LetterId) -> LetterDetail:
    """With what it holds, as it arrived, redacted where it can be read. For operators: it may hold anything."""
    core = core_of(request)
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
    if letter is None:
        raise Problem("not_found", f"there is no dead letter {letter_id}")
    return LetterDetail(
        **LetterItem.of(letter).model_dump(), headers=letter.headers, payload=_shown(letter.payload, core.redact)
    )


@routes.add("POST", "/dead-letters/{letter_id}/retry", "retryDeadLetter", "Run a failed job again", role="operator",
            problems=("not_found", "wrong_state", *BROKER))  # fmt: skip
async def retry_letter(
    request: Request, letter_id: LetterId, edits: Edits | None = None, dry_run: DryRun = False
) -> Done:
    """A new run from attempt 1, with other arguments where they are given; the letter is gone then."""
    core = core_of(request)
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None:
            raise Problem("not_found", f"there is no dead letter {letter_id}")
        if letter.kind != "failed":
            raise Problem("wrong_state", "it is no job: there is nothing to run", params={"state": letter.kind})
        changed = edits is not None and (edits.args is not None or edits.kwargs is not None)
        payload = None
        if changed and edits:
            payload = await retry_edited(core.caller, backend, letter, edits.args, edits.kwargs, core.redact)
        done = False if dry_run else await backend.requeue(letter_id, payload=payload)
    if not done and not dry_run:
        raise Problem("wrong_state", "somebody else was faster", params={"state": "gone"})
    entry = note(request, before={"reason": letter.reason[:200]}, after={"edited": changed})
    return Done(id=letter_id, done=done, outcome="queued" if done else "would be queued", audit_id=entry)


@routes.add("DELETE", "/dead-letters/{letter_id}", "discardDeadLetter", "Discard a dead letter", role="admin",
            problems=("not_found", *BROKER))  # fmt: skip
async def discard_letter(request: Request, letter_id: LetterId) -> Done:
    """Its job's record stays; it cannot be run again any more."""
    async with core_of(request).asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None or not await backend.bury(letter_id):
            raise Problem("not_found", f"there is no dead letter {letter_id}")
    entry = note(request, before={"kind": letter.kind, "reason": letter.reason[:200]})
    return Done(id=letter_id, done=True, outcome="discarded", audit_id=entry)


def _shown(payload: bytes, redact: Redactor) -> str:
    import msgspec

    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload.decode(errors="replace")
    return msgspec.json.encode(redact(value)).decode()
