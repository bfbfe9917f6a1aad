"""``naq dead``: the dead letters, jobs that failed for good and messages that are no jobs."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec

from naq import clock
from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, ask, read_config, say
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.many import each
from naq.cli.output import Column, ago, print_item, print_rows
from naq.cli.parameter import Group, Parameter, spread
from naq.cli.values import read_arguments, read_duration
from naq.cli.views import Change, LetterView
from naq.exceptions import ConfigurationError
from naq.flow import handled
from naq.flow.letters import ALL, Pace, Search, edited, find_letters
from naq.limits.pauses import who

if TYPE_CHECKING:
    from naq.backends.base import Backend, DeadLetter

app = Group("dead", "Jobs that failed for good, and messages that are no jobs: look, retry, remove.")

app.add("naq.cli.edit:edit", "edit", "Run a failed job again with other arguments.")

Names = Annotated[list[str], Parameter(negative_iterable="")]
Ids = Annotated[list[str] | None, Parameter(negative_iterable="")]


@spread
@dataclass(frozen=True)
class Which:
    """Options that say which dead letters; all that is given must fit."""

    queue: str | None = None
    """Only of this queue."""
    task: str | None = None
    """Only of this task; a * stands for anything (send_*)."""
    reason: str | None = None
    """Only where the reason contains this text."""
    kind: Literal["failed", "malformed"] | None = None
    """Only jobs that failed, or messages that are no jobs."""
    newer: str | None = None
    """Only what died within this time, such as 2h."""
    older: str | None = None
    """Only what died longer ago than this, such as 1d."""

    @property
    def search(self) -> Search:
        """The same, read."""
        now, newer, older = clock.now(), read_duration("--newer", self.newer), read_duration("--older", self.older)
        return Search(
            queue=self.queue,
            task=self.task,
            reason=self.reason,
            kind=self.kind,
            since=None if newer is None else now - newer,
            until=None if older is None else now - older,
        )


EVERYTHING: Final = Which()


@app.command(name="list")
def list_(
    *,
    which: Which = EVERYTHING,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    common: Common = DEFAULT,
) -> None:
    """List dead letters, the newest first.

    Example: naq dead list --queue mail --reason Timeout --newer 2h

    Args:
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
    letters = ask(common, lambda backend: find_letters(backend, which.search, limit=limit))
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
    which: Which = EVERYTHING,
    rate: str | None = None,
    args: str | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set", negative_iterable="")] = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Run failed jobs again, from their first attempt; the letter is gone then.

    Example: naq dead retry --queue mail --reason Timeout --rate 10/s --yes
    Example: naq dead retry 01JC4N9W2V --set to=a@b.c

    Args:
        letter_ids: Which, or say --all, or say which with options.
        every: All of them.
        rate: No faster than this, such as 10/s or 100/m.
        args: Run them with these arguments by position instead, as a JSON array.
        set_: Run them with this argument by name instead (several: --set a=1 --set b=2); JSON, or text.
    """
    pace = None if rate is None else Pace(_per_second(rate))
    positional = None if args is None else _array(args)
    named = read_arguments(set_ or [])[1] if set_ else None
    if set_ and len(named or {}) != len(set_):
        raise UsageError("--set takes name=value")
    config = read_config(common)

    async def again(backend: Backend, name: str) -> bool:
        payload = None
        if positional is not None or named is not None:
            letter = await backend.letter(name)
            if letter is None or letter.kind != "failed":
                return False
            payload = edited(letter, config, args=positional, kwargs=named)
        if pace is not None:
            await pace.next()
        return await backend.requeue(name, payload=payload)

    return _each(letter_ids, every, which, consent, common, "Retry", "queued", again)


def _per_second(text: str) -> float:
    from naq.limits.rates import read_rate

    try:
        rate = read_rate("--rate", text)
    except ConfigurationError as error:
        raise UsageError(str(error)) from error
    return rate.count / rate.seconds


def _array(text: str) -> list[Any]:
    try:
        return msgspec.json.decode(text, type=list[Any])
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"--args is {text!r}; expected a JSON array such as '[1, \"a\"]': {error}") from error


@app.command
def discard(letter_ids: Ids = None, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove dead letters; the records of their jobs stay.

    Example: naq dead discard 01JC4N9W2V --yes

    Args:
        letter_ids: Which.
    """
    return _each(letter_ids, False, EVERYTHING, consent, common, "Remove", "removed", lambda b, name: b.bury(name))


@app.command
def handle(letter_ids: Names, /, *, reason: str = "", common: Common = DEFAULT) -> int:
    """Say that somebody dealt with dead letters; they stay, and may still be run again.

    Example: naq dead handle 01JC4N9W2V --reason "told the sender"

    Args:
        letter_ids: Which.
        reason: What to say of it.
    """
    ttl = read_config(common).dead_ttl

    async def act(backend: Backend, letter: DeadLetter) -> str:
        await handled.handle(backend, letter.id, by=who(), note=reason, ttl=letter.at + ttl - clock.now())
        return "handled"

    return _say(letter_ids, common, act)


@app.command
def reopen(letter_ids: Names, /, *, common: Common = DEFAULT) -> int:
    """Take back that dead letters are dealt with.

    Example: naq dead reopen 01JC4N9W2V

    Args:
        letter_ids: Which.
    """

    async def act(backend: Backend, letter: DeadLetter) -> str:
        return "open" if await handled.reopen(backend, letter.id) else ""

    return _say(letter_ids, common, act)


def _say(letter_ids: list[str], common: Common, act: Callable[[Backend, DeadLetter], Awaitable[str]]) -> int:
    """`act` on each letter that is there; what it returns is the outcome, and nothing means that it was so before."""

    async def one(backend: Backend, name: str) -> Change:
        if (letter := await backend.letter(name)) is None:
            return Change(id=name, done=False, outcome="not found")
        outcome = await act(backend, letter)
        return Change(id=name, done=bool(outcome), outcome=outcome or "is open")

    return report(ask(common, lambda backend: each("noting", letter_ids, lambda name: one(backend, name))), common)


@app.command
def purge(*, which: Which = EVERYTHING, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove all dead letters, or all that fit.

    Example: naq dead purge --queue mail --older 7d --dry-run
    """
    return _each(None, which == EVERYTHING, which, consent, common, "Remove", "removed", lambda b, name: b.bury(name))


@app.command
def export(
    *,
    which: Which = EVERYTHING,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"])] = None,
    common: Common = DEFAULT,
) -> None:
    """Write dead letters as JSON lines, the newest first.

    Example: naq dead export -o dead.jsonl

    Args:
        output: The file. Default: stdout.
    """
    from naq.cli.export import write_lines  # with all that jobs are found and shown with

    letters = ask(common, lambda backend: find_letters(backend, which.search, limit=ALL))
    write_lines(map(LetterView.of, letters), len(letters), output, what="dead letter")


def _each(
    letter_ids: list[str] | None,
    every: bool,
    which: Which,
    consent: Consent,
    common: Common,
    verb: str,
    outcome: str,
    act: Callable[[Backend, str], Awaitable[bool]],
) -> int:
    if not letter_ids and not every and which == EVERYTHING:
        raise UsageError("say which dead letters: their ids (naq dead list -q), --all, or options such as --queue")
    asks = letter_ids is None or verb == "Remove"
    ids = letter_ids or ask(common, lambda backend: _ids(backend, which))
    if not ids:
        say("no dead letters" if which == EVERYTHING else "no dead letters match")
        return report([], common)
    if consent.dry_run:
        return report([Change(id=name, done=True, outcome=f"would be {outcome}") for name in ids], common)
    if asks and not agree(consent, f"{verb} {len(ids):,} dead letter{'s' * (len(ids) != 1)}?"):
        say("nothing was done")
        return Exit.FAILED

    async def one(backend: Backend, name: str) -> Change:
        if await act(backend, name):
            return Change(id=name, done=True, outcome=outcome)
        there = await backend.letter(name)
        return Change(id=name, done=False, outcome="not found" if there is None else f"is {there.kind}, no job to run")

    doing = "removing" if verb == "Remove" else "retrying"
    return report(ask(common, lambda backend: each(doing, ids, lambda name: one(backend, name))), common)


async def _ids(backend: Backend, which: Which) -> list[str]:
    return [letter.id for letter in await find_letters(backend, which.search, limit=ALL)]
