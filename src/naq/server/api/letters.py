"""Dead letters: jobs that failed for good, and messages that are no jobs."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query, Request, Response
from pydantic import Field

from naq import clock
from naq.backends.base import DeadLetter
from naq.codec.peek import peek
from naq.flow import handled as handling
from naq.flow.handled import Handled
from naq.flow.letters import Search
from naq.server.access.redact import Redactor
from naq.server.access.scope import may
from naq.server.acting import retry_edited
from naq.server.api.enqueue import NewJob, make_call, send_calls
from naq.server.api.gate import core_of, identity_of, note, scope_of
from naq.server.api.job_actions import DryRun, Edits
from naq.server.api.lists import Cursor, Limit, sliced
from naq.server.api.models import Done, Given, Model, Moment, Page, at_seconds
from naq.server.api.routes import BROKER, Routes
from naq.server.names import NAME, TASK, LetterId
from naq.server.problems import Problem, wrong

routes = Routes("dead-letters")
MOST = 10_000  # letters that are looked at for a list: the newest; what lies further back is found by its job


class HandledView(Model):
    """Who dealt with a letter, when, and what they say."""

    by: str
    at: Moment | None
    note: str


class LetterItem(Model):
    """A dead letter in a list. `attempts` of a job that failed; null where it is none, or its record has gone.

    It is gone at `expires_at`. `handled`: somebody says that they dealt with it.
    """

    id: str
    kind: Literal["failed", "malformed"]
    queue: str
    task: str
    reason: str
    at: Moment | None
    size: int
    attempts: int | None
    expires_at: Moment | None
    handled: HandledView | None

    @classmethod
    def of(cls, letter: DeadLetter, word: Handled | None, *, ttl: float, attempts: int | None = None) -> LetterItem:
        """As it is shown; letters are kept for `ttl` seconds."""
        return cls(
            id=letter.id, kind=letter.kind, queue=letter.queue, task=peek(letter.payload).task,
            reason=letter.reason, at=at_seconds(letter.at), size=len(letter.payload), attempts=attempts,
            expires_at=at_seconds(letter.at + ttl),
            handled=None if word is None else HandledView(by=word.by, at=at_seconds(word.at), note=word.note),
        )  # fmt: skip


class HandledGiven(Given):
    """What to say of it."""

    note: str = Field(default="", max_length=handling.LONGEST)


class LetterDetail(LetterItem):
    """A dead letter, whole. `payload` as text where it may be shown: bytes that are none are U+FFFD."""

    headers: dict[str, str]
    payload: str


@routes.add("GET", "/dead-letters", "listDeadLetters", "List dead letters", scope="itself",
            problems=("cursor_invalid", "cursor_mismatch", *BROKER))  # fmt: skip
async def list_letters(
    request: Request,
    response: Response,
    kind: Annotated[Literal["failed", "malformed"] | None, Query()] = None,
    queue: Annotated[str | None, Query(pattern=NAME)] = None,
    task: Annotated[str | None, Query(pattern=TASK)] = None,
    handled: Annotated[bool | None, Query(description="Only those that somebody dealt with, or nobody.")] = None,
    limit: Limit = None,
    cursor: Cursor = None,
) -> Page[LetterItem]:
    """Of the newest ten thousand, by id."""
    core = core_of(request)
    search, ttl = Search(kind=kind, queue=queue, task=task), core.config.dead_ttl
    async with core.asking() as backend:
        found = await backend.dead(limit=MOST)
        words = await handling.handled(backend)
        identity = scope_of(request)
        found = [one for one in found if may(identity, one.queue)]
        rows = [one for one in found if search.fits(one) and handled in {None, one.id in words}]
        page = sliced(
            core, request, response, rows, lambda one: LetterItem.of(one, words.get(one.id), ttl=ttl),
            about=f"letters {kind} {queue} {task} {handled}", limit=limit, cursor=cursor, key=lambda one: one.id,
        )  # fmt: skip
        records = await backend.finals([one.id for one in page.items if one.kind == "failed"])
    counted = {job_id: record.attempt for job_id, record in records.items()}
    items = [one.model_copy(update={"attempts": counted.get(one.id)}) for one in page.items]
    return page.model_copy(update={"items": items})


@routes.add("GET", "/dead-letters/{letter_id}", "getDeadLetter", "Show a dead letter", scope="letter", role="operator",
            problems=("not_found", *BROKER))  # fmt: skip
async def get_letter(request: Request, letter_id: LetterId) -> LetterDetail:
    """With what it holds, as it arrived, redacted where it can be read. For operators: it may hold anything."""
    core = core_of(request)
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
        word = await handling.handled_one(backend, letter_id)
        record = await backend.get(letter_id) if letter is not None and letter.kind == "failed" else None
    if letter is None:
        raise _unknown(letter_id)
    item = LetterItem.of(letter, word, ttl=core.config.dead_ttl, attempts=None if record is None else record.attempt)
    return LetterDetail(
        **item.model_dump(), headers=letter.headers, payload=_shown(letter.payload, core.redact)
    )  # fmt: skip


@routes.add("GET", "/dead-letters/{letter_id}/raw", "downloadDeadLetter", "Download a dead letter",
            scope="letter", role="admin",
            problems=("not_found", *BROKER), response_class=Response,
            responses={200: {"description": "What arrived, as it arrived.",
                             "content": {"application/octet-stream": {"schema": {"type": "string"}}}}})  # fmt: skip
async def download_letter(request: Request, letter_id: LetterId) -> Response:
    """The bytes, nothing hidden: for admins."""
    async with core_of(request).asking() as backend:
        letter = await backend.letter(letter_id)
    if letter is None:
        raise _unknown(letter_id)
    headers = {"Content-Disposition": f'attachment; filename="{letter_id}.bin"'}
    return Response(letter.payload, media_type="application/octet-stream", headers=headers)


@routes.add("POST", "/dead-letters/{letter_id}/handle", "handleDeadLetter", "Say that a dead letter is dealt with",
            scope="letter",
            role="operator", problems=("not_found", *BROKER))  # fmt: skip
async def handle_letter(request: Request, letter_id: LetterId, given: HandledGiven | None = None) -> Done:
    """It stays where it is, and may still be run again."""
    core = core_of(request)
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None:
            raise _unknown(letter_id)
        before = await handling.handled_one(backend, letter_id)
        word = await handling.handle(
            backend, letter_id, by=identity_of(request).name, note=given.note if given else "",
            ttl=letter.at + core.config.dead_ttl - clock.now(),
        )  # fmt: skip
    entry = note(request, before={"handled": before is not None}, after={"handled": True, "note": word.note})
    return Done(id=letter_id, done=before is None, outcome="handled", audit_id=entry)


@routes.add("POST", "/dead-letters/{letter_id}/reopen", "reopenDeadLetter", "Take back that it is dealt with",
            scope="letter",
            role="operator", problems=("not_found", *BROKER))  # fmt: skip
async def reopen_letter(request: Request, letter_id: LetterId) -> Done:
    """Nothing where nobody said so."""
    async with core_of(request).asking() as backend:
        if await backend.letter(letter_id) is None:
            raise _unknown(letter_id)
        done = await handling.reopen(backend, letter_id)
    entry = note(request, before={"handled": done}, after={"handled": False})
    return Done(id=letter_id, done=done, outcome="open", audit_id=entry)


@routes.add("POST", "/dead-letters/{letter_id}/replace", "replaceDeadLetter", "Enqueue a job instead of a dead letter",
            scope="letter",
            role="operator", policy="enqueue", problems=("not_found", "wrong_state", *BROKER))  # fmt: skip
async def replace_letter(request: Request, letter_id: LetterId, new: NewJob, dry_run: DryRun = False) -> Done:
    """For a message that is no job: what it was meant to be. The letter is gone then, and the job has its id.

    So that of two who do it at once, or one who does it twice, one job is made. `id` is the job's.
    """
    core = core_of(request)
    if new.job_id is not None:
        raise wrong("/job_id", "it has the letter's id")
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None:
            raise _unknown(letter_id)
        if letter.kind == "failed":
            raise Problem("wrong_state", "it is a job: run it again", params={"state": letter.kind})
        call = await make_call(core, backend, new.model_copy(update={"job_id": letter_id}), request)
        if dry_run:
            return Done(id=letter_id, done=False, outcome="would be queued")
        await backend.open([call.plan.queue])
        [job] = await send_calls(core, [call])
        await backend.bury(letter_id)
        await handling.reopen(backend, letter_id)
    before, after = {"reason": letter.reason[:200]}, {"task": new.task, "queue": call.plan.queue}
    entry = note(request, before=before, after=after)
    return Done(id=job.id, done=not job.duplicate, outcome="queued", audit_id=entry)


@routes.add("POST", "/dead-letters/{letter_id}/retry", "retryDeadLetter", "Run a failed job again",
            scope="letter", role="operator",
            problems=("not_found", "wrong_state", *BROKER))  # fmt: skip
async def retry_letter(
    request: Request, letter_id: LetterId, edits: Edits | None = None, dry_run: DryRun = False
) -> Done:
    """A new run from attempt 1, with other arguments where they are given; the letter is gone then."""
    core = core_of(request)
    async with core.asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None:
            raise _unknown(letter_id)
        if letter.kind != "failed":
            raise Problem("wrong_state", "it is no job: replace it by one", params={"state": letter.kind})
        changed = edits is not None and (edits.args is not None or edits.kwargs is not None)
        payload = None
        if changed and edits:
            payload = await retry_edited(core.caller, backend, letter, edits.args, edits.kwargs, core.redact)
        done = False if dry_run else await backend.requeue(letter_id, payload=payload)
    if not done and not dry_run:
        raise Problem("wrong_state", "somebody else was faster", params={"state": "gone"})
    entry = note(request, before={"reason": letter.reason[:200]}, after={"edited": changed})
    return Done(id=letter_id, done=done, outcome="queued" if done else "would be queued", audit_id=entry)


@routes.add("DELETE", "/dead-letters/{letter_id}", "discardDeadLetter", "Discard a dead letter",
            scope="letter", role="admin",
            problems=("not_found", *BROKER))  # fmt: skip
async def discard_letter(request: Request, letter_id: LetterId) -> Done:
    """Its job's record stays; it cannot be run again any more."""
    async with core_of(request).asking() as backend:
        letter = await backend.letter(letter_id)
        if letter is None or not await backend.bury(letter_id):
            raise _unknown(letter_id)
    entry = note(request, before={"kind": letter.kind, "reason": letter.reason[:200]})
    return Done(id=letter_id, done=True, outcome="discarded", audit_id=entry)


def _unknown(letter_id: str) -> Problem:
    return Problem("not_found", f"there is no dead letter {letter_id}")


def _shown(payload: bytes, redact: Redactor) -> str:
    import msgspec

    try:
        value = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return payload.decode(errors="replace")
    return msgspec.json.encode(redact(value)).decode()
