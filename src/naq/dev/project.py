"""The files of a new project: which there are, what is in them, and how they go together with files that exist.

The templates are files below `templates`, one folder each: those of the kind of project, and what may be added. In
their names ``dot-`` stands for a leading dot; in their text ``@@NAME@@`` and the like for what differs.
"""

from __future__ import annotations

import re
import secrets
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, NamedTuple

from naq.exceptions import ConfigurationError
from naq.names import MAX_TOKEN

TEMPLATES: Final = Path(__file__).parent / "templates"
_NOT_OURS: Final = (".", "__pycache__")  # what tools leave behind, should somebody run one there
Kind = Literal["minimal", "fastapi", "django", "flask"]
Act = Literal["create", "replace", "extend", "keep", "refuse"]


class Shape(NamedTuple):
    """What a kind of project differs in, beyond its files.

    Attributes:
        app: where its app is.
        job: a first job, as words of a command line; () where one needs more than a command line.
        web: the command line of its web application in a container; "" where it has none.
        before: what to type once, before the worker starts.
        run: what to type beside the worker to see it work.
    """

    app: str
    job: tuple[str, ...]
    web: str
    before: tuple[str, ...]
    run: tuple[str, ...]


_POST: Final = 'curl --json \'{"name": "Ada"}\' http://127.0.0.1:8000/hello'
SHAPES: Final[Mapping[Kind, Shape]] = {
    "minimal": Shape("tasks:app", ("tasks.hello", "name=world"), "", (), ("python main.py",)),
    "fastapi": Shape(
        "tasks:app",
        ("tasks.hello", "name=world"),
        '["uvicorn", "main:web", "--host", "0.0.0.0", "--port", "8000"]',
        (),
        ("uvicorn main:web --reload", _POST),
    ),
    "flask": Shape(
        "tasks:app",
        ("tasks.hello", "name=world"),
        '["gunicorn", "main:web", "--bind", "0.0.0.0:8000"]',
        (),
        ("flask --app main run -p 8000", _POST),
    ),
    "django": Shape(
        "worker:app",
        (),
        '["sh", "-c", "python manage.py migrate --no-input && exec gunicorn config.wsgi --bind 0.0.0.0:8000"]',
        ("python manage.py migrate",),
        ("python manage.py greet Ada", "python manage.py runserver"),
    ),
}


class Wanted(NamedTuple):
    """What is to be made: a project of this kind and name, with what is needed for containers, for CI, or without."""

    kind: Kind
    name: str
    docker: bool = False
    ci: bool = False


class File(NamedTuple):
    """One file of the project.

    Attributes:
        path: in the project's folder.
        text: what is to be in it, all of it.
        act: what that means for what is there. ``refuse``: it is there, has other content, and may not be replaced.
    """

    path: str
    text: str
    act: Act


def project_name(folder: Path) -> str:
    """A name for the project in `folder`: the folder's, with what may not be in a name left out."""
    return re.sub(r"[^a-z0-9_-]+", "-", folder.resolve().name.lower()).strip("-_")[:MAX_TOKEN] or "shop"


def plan(wanted: Wanted, folder: Path, *, replace: bool = False) -> list[File]:
    """The files that make the project in `folder`. Reads what is there, writes nothing.

    Settings and lists of lines that exist (pyproject.toml, .gitignore, requirements, .env) are extended by what they
    lack, never replaced; other files that exist and differ are refused, or replaced where `replace` says so.

    Raises:
        ConfigurationError: something that is there cannot be read, or is no file.
    """
    return [_fit(path, text, folder / path, replace=replace) for path, text in sorted(_files(wanted).items())]


def write(files: list[File], folder: Path) -> None:
    """Write what is to be created, extended or replaced.

    Raises:
        ConfigurationError: the system does not let us.
    """
    for file in files:
        if file.act in {"keep", "refuse"}:
            continue
        path = folder / file.path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.name == ".env":
                path.touch(mode=0o600)  # it holds secrets
            path.write_text(file.text, encoding="utf-8")
            if file.text.startswith("#!"):
                path.chmod(path.stat().st_mode | 0o111)
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from error


def first_tasks() -> str:
    """tasks.py of the smallest project, without a name: `Naq()`."""
    return (TEMPLATES / "minimal" / "tasks.py").read_text(encoding="utf-8").replace('"@@NAME@@"', "")


def _files(wanted: Wanted) -> dict[str, str]:
    """Path -> text of every file of the project."""
    folders = ["common", wanted.kind, *(["docker"] * wanted.docker), *(["ci"] * wanted.ci)]
    found = {path: _fill(text, wanted) for folder in folders for path, text in _templates(folder)}
    if wanted.docker and wanted.kind == "django":
        found[".env"] += f"DJANGO_SECRET_KEY={secrets.token_urlsafe(48)}\n"
    found.pop("web.yaml", None)  # a part of compose.yaml
    return found


def _templates(folder: str) -> Iterator[tuple[str, str]]:
    root = TEMPLATES / folder
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not any(part.startswith(_NOT_OURS) for part in parts):
            parts = [re.sub("^dot-", ".", part) for part in parts]
            yield "/".join(parts), path.read_text(encoding="utf-8")


def _fill(text: str, wanted: Wanted) -> str:
    shape = SHAPES[wanted.kind]
    django = wanted.kind == "django"
    settings = [
        'DJANGO_DEBUG: "0"',
        "DJANGO_DB: /data/db.sqlite3",
        "DJANGO_SECRET_KEY: ${DJANGO_SECRET_KEY:?set it in .env}",
    ]
    values = {
        "WEB": (TEMPLATES / "docker" / "web.yaml").read_text(encoding="utf-8").rstrip("\n") if shape.web else "",
        "WEB_COMMAND": shape.web,
        "SETTINGS": "\n".join(f"      {line}" for line in settings) if django else "",
        "WORKER_WAITS": "      web: {condition: service_healthy}  # which has migrated the database" if django else "",
        "NAME": wanted.name,
        "APP": shape.app,
        "SECRET": secrets.token_hex(16),
    }
    for name, value in values.items():
        mark = f"@@{name}@@"
        text = text.replace(mark, value) if value else text.replace(f"{mark}\n", "")
    return text


def _fit(name: str, text: str, path: Path, *, replace: bool) -> File:
    """What becomes of `path`, which `text` is meant for."""
    try:
        there = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return File(name, text, "create")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is there and cannot be read: {error}") from error
    if there == text:
        return File(name, there, "keep")
    if name == "pyproject.toml" or _is_list(name):
        lacking = _lacking_tables(there, text, path) if name == "pyproject.toml" else _lacking_lines(name, there, text)
        if not lacking:
            return File(name, there, "keep")
        gap = "" if not there or there.endswith("\n") else "\n"
        return File(name, f"{there}{gap}{lacking}", "extend")
    return File(name, text, "replace" if replace else "refuse")


def _is_list(name: str) -> bool:
    return name in {".gitignore", ".dockerignore", ".env"} or name.startswith("requirements")


def _lacking_lines(name: str, there: str, text: str) -> str:
    """The lines of `text` whose like is not in `there`: the same variable, the same package."""
    known = {_means(name, line) for line in there.splitlines()}
    return "".join(f"{line}\n" for line in text.splitlines() if _means(name, line) not in known)


def _means(name: str, line: str) -> str:
    line = line.strip()
    if name == ".env":
        return line.removeprefix("export ").partition("=")[0].strip()
    if name.startswith("requirements"):
        return re.split(r"\s*(?:[<>=!~;@ ]|$)", line, maxsplit=1)[0].lower() if not line.startswith("-") else line
    return line.strip("/")


def _lacking_tables(there: str, text: str, path: Path) -> str:
    """The tables of `text` that the TOML in `there` has not."""
    try:
        known: object = tomllib.loads(there)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    tables = re.split(r"^(?=\[)", text, flags=re.MULTILINE)
    lacking = [table for table in tables if table.startswith("[") and not _has(known, table[1 : table.index("]")])]
    return "".join(f"\n{table.strip()}\n" for table in lacking)


def _has(document: object, name: str) -> bool:
    for part in name.split("."):
        if not isinstance(document, dict) or part not in document:
            return False
        document = document[part]  # pyright: ignore[reportUnknownVariableType]
    return True
