"""``naq init``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Final, cast

from naq.cli.common import Common, say
from naq.cli.errors import ConflictError, UsageError
from naq.cli.output import Column, print_rows
from naq.cli.parameter import Parameter
from naq.cli.views import Change
from naq.dev.project import SHAPES, Act, File, Kind, Wanted, plan, project_name, write
from naq.names import check_token

_DID: Final[dict[Act, str]] = {
    "create": "created",
    "replace": "replaced",
    "extend": "extended",
    "keep": "unchanged",
    "refuse": "in the way",
}
_COLUMNS: Final[tuple[Column[Change], ...]] = (
    Column("FILE", lambda change: change.id),
    Column("", lambda change: change.outcome),
)


def init(
    folder: Path = Path(),
    /,
    *,
    template: Kind | None = None,
    name: str | None = None,
    docker: bool | None = None,
    ci: bool | None = None,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    dry_run: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    json: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative="", show_default=False)] = False,
) -> None:
    """Write the files of a project: tasks, a program that enqueues them, tests, settings.

    Never replaces a file without --force; pyproject.toml, requirements, .gitignore
    and .env that are there get what they lack. What is not said is asked for on a
    terminal; elsewhere it is a minimal project, without Docker and CI.

    Example: naq init shop --template fastapi --docker --ci

    Args:
        folder: Where. Made if it is not there. Default: here.
        template: What kind of project.
        name: What the app is called; also the namespace of its jobs. Default: the folder's name.
        docker: Also a Dockerfile, and a compose file with a NATS server, a worker, and the web application.
        ci: Also a workflow of GitHub Actions that runs the tests.
        force: Replace files that are in the way.
        dry_run: Say what would be written, and write nothing.
        json: Print one JSON document.
        quiet: Print the paths only, one a line.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder")
    name = check_token("app", name) if name is not None else project_name(folder)
    asks = sys.stdin.isatty() and sys.stderr.isatty()
    kind = template or (_ask_kind() if asks else "minimal")
    with_docker = asks and _ask("With Docker: a NATS server and a worker in containers?") if docker is None else docker
    with_ci = asks and _ask("With a workflow of GitHub Actions that runs the tests?") if ci is None else ci
    files = plan(Wanted(kind, name, with_docker, with_ci), folder, replace=force)
    in_the_way = [file.path for file in files if file.act == "refuse"]
    if in_the_way and not dry_run:
        raise ConflictError(
            f"in {folder.resolve()} there are already: {', '.join(in_the_way)}. Nothing was written; "
            "--force replaces them, naq init FOLDER takes another place, --dry-run shows all that would be done"
        )
    if not dry_run:
        write(files, folder)
    print_rows([_change(file, dry_run=dry_run) for file in files], _COLUMNS, Common(json=json, quiet=quiet), name="id")
    if dry_run:
        say("nothing was written (--dry-run)")
    elif not quiet:
        _say_how(kind, folder, docker=with_docker)


def _change(file: File, *, dry_run: bool) -> Change:
    done = file.act not in {"keep", "refuse"} and not dry_run
    would = "would be " if dry_run and file.act not in {"keep", "refuse"} else ""
    return Change(id=file.path, done=done, outcome=f"{would}{_DID[file.act]}", count=0)


def _say_how(kind: Kind, folder: Path, *, docker: bool) -> None:
    """What to type next."""
    shape = SHAPES[kind]
    first, *rest = shape.run
    lines = [
        *([] if folder.resolve() == Path.cwd() else [f"cd {folder}"]),
        "pip install -r requirements-dev.txt",
        *shape.before,
        f"{'naq dev':30}  # a broker and a worker, with reload; Ctrl-C ends them",
        f"{first:30}  # in another terminal",
        *rest,
        "pytest",
        *([f"{'docker compose up --build':30}  # all of it in containers"] if docker else []),
    ]
    say("\nnext:\n" + "\n".join(f"  {line}" for line in lines))


def _ask_kind() -> Kind:
    choices = ", ".join(SHAPES)
    while True:
        answer = _answer(f"What kind of project ({choices})? [minimal] ").lower() or "minimal"
        if answer in SHAPES:
            return cast("Kind", answer)
        say(f"{answer!r} is none of them")


def _ask(question: str) -> bool:
    return _answer(f"{question} [y/N] ").lower() in {"y", "yes"}


def _answer(question: str) -> str:
    print(question, end="", file=sys.stderr, flush=True)
    line = sys.stdin.readline()
    if not line:  # Ctrl-D
        raise UsageError("nothing was answered, and nothing written; say it by options: --template, --docker, --ci")
    return line.strip()
