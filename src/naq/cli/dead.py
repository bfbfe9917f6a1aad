"""``naq dead``: the dead letters, jobs that failed for good and messages that are no jobs."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, ask, make_group, say
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.output import Column, ago, print_item, print_rows
from naq.cli.views import Change, LetterView

if TYPE_CHECKING:
    from naq.backends.base import Backend, DeadLetter

app = make_group("dead", "Jobs that failed for good, and messages that are no jobs: look, retry, remove.")

_ALL: Final = 1_000_000  # letters; more than anybody keeps for 30 days to look at

Ids = Annotated[list[str] | None, Parameter(negative_iterable="")]


@app.command(name="list")
def list_(
    *,
    queue: str | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    common: Common = DEFAULT,
) -> None:
    """List dead letters, the newest first.

    Example: naq dead list --queue mail

    Args:
        queue: Only of this queue.
        limit: At most so many.
    """
    columns: list[Column[LetterView]] = [
        Column("ID", lambda letter: letter.id),
        Column("KIND", lambda letter: letter.kind),
        Column("QUEUE", lambda letter: letter.queue),
        Column("TASK", lambda letter: letter.task),
        Column("WHEN", lambda letter: ago(letter.at, common)),
        Column("REASON", lambda letter: letter.reason[:200]),
    ]
    letters = ask(common, lambda backend: _letters(backend, queue, limit))
    print_rows([LetterView.of(each) for each in letters], columns, common, name="id", empty="no dead letters")


@app.command
def show(letter_id: str, /, *, common: Common = DEFAULT) -> None:
    """Show one dead letter: why it died, and what it was.

    Example: naq dead show 01JC4N9W2V

    Args:
        letter_id: The letter; that of a failed job has the job's id.
    """
    letter = ask(common, lambda backend: backend.letter(letter_id))
    if letter is None:
        raise NotFoundError(f"there is no dead letter {letter_id!r} in this namespace; see naq dead list")
    view = LetterView.of(letter)
    lines = [
        ("letter", view.id),
        ("kind", view.kind),
        ("queue", view.queue),
        ("task", view.task),
        ("when", ago(view.at, common)),
        ("reason", view.reason),
        *((f"  {name}", value) for name, value in view.headers.items()),
        ("payload", view.payload),
    ]
    print_item(view, lines, common, name="id")


@app.command
def retry(
    letter_ids: Ids = None,
    /,
    *,
    every: Annotated[bool, Parameter(name="--all", negative="", show_default=False)] = False,
    queue: str | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Run failed jobs again, from their first attempt; the letter is gone then.

    Example: naq dead retry --queue mail --yes

    Args:
        letter_ids: Which, or say --all or --queue.
        every: All of them.
        queue: All of this queue.
    """
    return _each(letter_ids, every, queue, consent, common, "Retry", "queued", lambda b, name: b.requeue(name))


@app.command
def discard(letter_ids: Ids = None, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove dead letters; the records of their jobs stay.

    Example: naq dead discard 01JC4N9W2V --yes

    Args:
        letter_ids: Which.
    """
    return _each(letter_ids, False, None, consent, common, "Remove", "removed", lambda b, name: b.bury(name))


@app.command
def purge(*, queue: str | None = None, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove all dead letters, or all of a queue.

    Example: naq dead purge --queue mail --dry-run

    Args:
        queue: Only of this queue.
    """
    return _each(None, queue is None, queue, consent, common, "Remove", "removed", lambda b, name: b.bury(name))


@app.command
def export(
    *,
    queue: str | None = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    common: Common = DEFAULT,
) -> None:
    """Write dead letters as JSON lines, the newest first.

    Example: naq dead export -o dead.jsonl

    Args:
        queue: Only of this queue.
        output: The file. Default: stdout.
    """
    lines = [
        msgspec.json.encode(LetterView.of(each)) + b"\n" for each in ask(common, lambda b: _letters(b, queue, _ALL))
    ]
    if output is None:
        sys.stdout.write(b"".join(lines).decode())
        return
    try:
        output.write_bytes(b"".join(lines))
    except OSError as error:
        raise UsageError(f"{output} cannot be written: {error.strerror}") from error
    say(f"{len(lines):,} dead letters written to {output}")


def _each(
    letter_ids: list[str] | None,
    every: bool,
    queue: str | None,
    consent: Consent,
    common: Common,
    verb: str,
    outcome: str,
    act: Callable[[Backend, str], Awaitable[bool]],
) -> int:
    if not letter_ids and not every and queue is None:
        raise UsageError("say which dead letters: their ids (naq dead list -q), --all, or --queue QUEUE")
    asks = letter_ids is None or verb == "Remove"
    ids = letter_ids or ask(common, lambda backend: _ids(backend, queue))
    if consent.dry_run:
        return report([Change(id=name, done=True, outcome=f"would be {outcome}") for name in ids], common)
    if not ids:
        say("no dead letters")
        return Exit.DONE
    if asks and not agree(consent, f"{verb} {len(ids):,} dead letter{'s' * (len(ids) != 1)}?"):
        say("nothing was done")
        return Exit.FAILED

    async def all_of(backend: Backend) -> list[Change]:
        return [await _one(backend, name) for name in ids]

    async def _one(backend: Backend, name: str) -> Change:
        if await act(backend, name):
            return Change(id=name, done=True, outcome=outcome)
        there = await backend.letter(name)
        return Change(id=name, done=False, outcome="not found" if there is None else f"is {there.kind}, no job to run")

    return report(ask(common, all_of), common)


async def _ids(backend: Backend, queue: str | None) -> list[str]:
    return [letter.id for letter in await _letters(backend, queue, _ALL)]


async def _letters(backend: Backend, queue: str | None, limit: int) -> list[DeadLetter]:
    """The newest `limit` letters, of `queue` if that is given."""
    letters = await backend.dead(limit=limit if queue is None else _ALL)
    return [letter for letter in letters if queue is None or letter.queue == queue][:limit]
