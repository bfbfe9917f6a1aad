"""``naq check``: does the app say what it means, and would its code take what waits on a broker?"""
# ruff: noqa: D417 - options in a class are described there

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final

from msgspec import Struct

from naq.check.findings import Finding, Refused, Report
from naq.cli.common import refuse_memory, say, talk
from naq.cli.exits import Exit
from naq.cli.output import print_json
from naq.cli.parameter import Parameter, spread
from naq.cli.progress import Progress
from naq.cli.text import plain

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.backends.base import Backend
    from naq.config import Config

_SIGNS: Final = {"ok": "✓", "warning": "!", "problem": "✗"}


class CheckView(Struct, frozen=True, kw_only=True):
    """What ``naq check`` found. `ok` is what the exit code says; `broker` is null without ``--against``.

    Attributes:
        tasks: how many the app has.
        findings: about the code itself.
    """

    app: str
    ok: bool
    tasks: int
    findings: list[Finding]
    broker: Report | None


@spread
@dataclass(frozen=True)
class Strictness:
    """What counts as a problem."""

    strict: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Warnings are problems too."""
    allow_waiting: Annotated[bool, Parameter(negative="", show_default=False)] = False
    """Jobs of tasks (or newer versions of them) that this app does not know are warnings: other workers have them."""


LENIENT: Final = Strictness()


def check(
    target: str,
    /,
    *,
    against: str | None = None,
    modules: Annotated[list[str] | None, Parameter(name=["--module", "-m"], negative_iterable="")] = None,
    strictness: Strictness = LENIENT,
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False)] = False,
) -> int:
    """Check an app before a deploy; with --against, also whether its code would take what waits on a broker.

    Reads every job that is queued, scheduled, retrying or blocked, and every schedule, and says which of them this
    code could not read or would refuse, by task and reason. Changes nothing and runs no task; types of arguments are
    made, and upcasters run. Exit code 0: all is good, 1: there is a problem, 2: the app cannot be imported, 5: the
    broker cannot be reached.

    Example: naq check tasks:app
    Example: naq check tasks:app --against "$NAQ_BROKER_URL" --json

    Args:
        target: Where the app is: module:attribute (tasks:app), a module that holds one app, or a file (tasks.py).
        against: The broker, such as nats://127.0.0.1:4222; its jobs are those of the app's namespace.
        modules: Import this module first, as naq worker -m does; its functions are known too.
        json: Print one JSON document.
        quiet: Print problems only.
    """
    from naq.check import read_code
    from naq.worker.loader import import_named, load_app

    for module in modules or ():
        import_named(module)
    app = load_app(target)
    findings = read_code(app, target)
    report = None if against is None else _ask(app, against, modules or [], strictness)
    view = CheckView(
        app=app.name,
        ok=not any(_counts(each, strictness) for each in (*findings, *(report.refused if report else ()))),
        tasks=len(app.tasks),
        findings=findings,
        broker=report,
    )
    if json:
        print_json(view)
    else:
        for line in _lines(view, quiet):
            print(line)
    return Exit.DONE if view.ok else Exit.FAILED


def _counts(each: Finding | Refused, strictness: Strictness) -> bool:
    return strictness.strict or each.level == "problem"


def _ask(app: Naq, url: str, modules: list[str], strictness: Strictness) -> Report:
    from msgspec.structs import replace

    from naq.check import read_broker
    from naq.cli.broker import look

    config: Config = replace(app.config, broker_url=url)
    refuse_memory(config)
    if any("stream" in seen.text and seen.level != "ok" for seen in look(config, ())):
        say(f"namespace {config.namespace} has no streams on that broker: nothing waits there")
        return Report()  # opening it would make them, and a check changes nothing

    async def act(backend: Backend) -> Report:
        total = sum(stats.queued + stats.running + stats.scheduled + stats.blocked for stats in await backend.stats())
        with Progress("reading jobs", total=total) as bar:
            return await read_broker(
                backend, app, config, imports=modules, allow_waiting=strictness.allow_waiting, progress=bar.add
            )

    return talk(config, act)


def _lines(view: CheckView, quiet: bool) -> Iterator[str]:
    if not quiet and not view.findings:
        yield f"{_SIGNS['ok']} app {plain(view.app)}: {view.tasks} tasks, nothing is wrong with them"
    for finding in view.findings:
        if not quiet or finding.level == "problem":
            yield f"{_SIGNS[finding.level]} {plain(finding.text)}"
            if finding.advice:
                yield f"  → {plain(finding.advice)}"
    if view.broker is not None:
        yield from _broker_lines(view.broker, quiet)


def _broker_lines(report: Report, quiet: bool) -> Iterator[str]:
    total = sum(report.jobs.values())
    if not quiet:
        by_state = ", ".join(f"{count} {state}" for state, count in sorted(report.jobs.items()))
        bad = sum(each.count for each in report.refused if each.states.keys() <= report.jobs.keys())
        sign = _SIGNS["ok"] if not report.refused else " "
        yield f"{sign} {total} jobs{f' ({by_state})' if by_state else ''} and {report.schedules} schedules; " + (
            f"{bad} jobs would not run"
            if bad
            else "this code takes them all"
            if not report.refused
            else "jobs are fine"
        )
        for count, text in (
            (report.expired, "have expired: they will end without having run"),
            (report.unread, "have pickled arguments, which were not looked into"),
            (report.replaced, "are of schedules that this code changes: its first worker takes them back"),
        ):
            if count:
                yield f"  {count} {text}"
    for each in report.refused:
        if not quiet or each.level == "problem":
            where = ", ".join(f"{count} {state}" for state, count in sorted(each.states.items()))
            yield f"{_SIGNS[each.level]} {each.count} x {plain(each.task) or 'unreadable'}: {each.kind} ({where})"
            yield f"  {plain(each.reason)}"
            yield f"  → {_advice(each)}"


def _advice(each: Refused) -> str:
    if "schedule" in each.states:
        return f"naq schedules show {plain(each.example)}"
    if each.kind == "handler":
        return f"naq events forget {plain(each.example)}"
    return f"naq jobs show {plain(each.example)}"
