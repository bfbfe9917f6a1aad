"""What holds for every command: an example in its help, a published schema, and a start that nobody waits for."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from cyclopts import App

from naq.cli.app import COMMANDS
from naq.cli.exits import Exit
from naq.cli.parser import build
from naq.cli.schema import DOCUMENTS, schema
from tests.cli.cli_tools import NAQ, Naqs

DOCS = Path(__file__).parents[2] / "docs"


def _commands(app: App, *path: str) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in app:
        if not name.startswith("-"):
            command = app[name]
            below = list(_commands(command, *path, name))
            yield from below or [((*path, name), command)]


ALL = dict(_commands(build(COMMANDS)))


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_help_has_an_example_of_its_own_command(path: tuple[str, ...]) -> None:
    assert "Example: " in ALL[path].help, path
    assert f"naq {' '.join(path)}" in ALL[path].help


def test_the_published_schema_is_current() -> None:
    published = json.loads((DOCS / "cli.schema.json").read_text(encoding="utf-8"))
    assert published == schema(), "write schema() of naq.cli.schema to docs/cli.schema.json"
    named = set(re.findall(r'"#/\$defs/(\w+)"', json.dumps(published)))
    assert named <= set(published["$defs"]), "it refers to what is not there"
    assert set(DOCUMENTS) <= {" ".join(path) for path in ALL}


def test_every_command_and_exit_code_is_in_the_docs() -> None:
    page = (DOCS / "cli.md").read_text(encoding="utf-8")
    assert [path for path in ALL if " ".join(path) not in page] == []
    assert [code for code in Exit if f"| {code.value} |" not in page] == []


def _fits(value: Any, spec: dict[str, Any], parts: dict[str, Any]) -> bool:
    """Whether `value` fits the parts of JSON Schema that `schema` uses."""
    if "$ref" in spec:
        return _fits(value, parts[spec["$ref"].rpartition("/")[2]], parts)
    if "anyOf" in spec:
        return any(_fits(value, each, parts) for each in spec["anyOf"])
    if "enum" in spec:
        return value in spec["enum"]
    match spec.get("type"):
        case "object":
            fields = spec.get("properties", {})
            return (
                isinstance(value, dict)
                and set(spec.get("required", [])) <= set(cast("dict[str, Any]", value))
                and all(
                    _fits(part, fields.get(name, {}), parts) for name, part in cast("dict[str, Any]", value).items()
                )
            )
        case "array":
            return isinstance(value, list) and all(
                _fits(part, spec.get("items") or {}, parts) for part in cast("list[Any]", value)
            )
        case kind:
            types: dict[Any, Any] = {"string": str, "integer": int, "number": (int, float), "boolean": bool}
            return kind is None or (value is None if kind == "null" else isinstance(value, types[kind]))


def test_what_commands_print_fits_the_schema(worker: Naqs) -> None:
    spec = schema()
    failed = worker("enqueue", "bad", "--wait", "--json", code=1)
    job_id, worker_id = failed.json["id"], worker("workers", "list", "-q").lines[0]
    said = {
        "enqueue": failed,
        "jobs list": worker("jobs", "list", "--json"),
        "jobs show": worker("jobs", "show", job_id, "--json"),
        "queues list": worker("queues", "list", "--json"),
        "queues pause": worker("queues", "pause", "default", "--json"),
        "workers list": worker("workers", "list", "--json"),
        "workers show": worker("workers", "show", worker_id, "--json"),
        "dead list": worker("dead", "list", "--json"),
        "dead show": worker("dead", "show", job_id, "--json"),
        "tasks list": worker("tasks", "list", "tasks:app", "--json"),
        "tasks show": worker("tasks", "show", "tasks:app", "hello", "--json"),
        "broker check": worker("broker", "check", "--json"),
        "broker plan": worker("broker", "plan", "--json"),
        "doctor": worker("doctor", "tasks:app", "--json"),
        "config show": worker("config", "show", "--json"),
    }
    for name, output in said.items():
        assert output.json
        assert _fits(output.json, spec["properties"][name], spec["$defs"]), (name, output.json)


def test_a_reader_that_has_seen_enough(naq: Naqs) -> None:
    for _ in range(3):
        naq("enqueue", "hello")
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*NAQ, "jobs", "list"], env=naq.env, stdout=writing, stderr=subprocess.PIPE, text=True, timeout=30, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
