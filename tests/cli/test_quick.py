"""A line that is read quickly is read as the library reads it: every command and option, with words that mislead."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import Parameter as Declared
from inspect import signature
from itertools import pairwise
from typing import Any

import pytest
from cyclopts import App

from naq.cli import quick
from naq.cli.app import COMMANDS
from naq.cli.errors import UsageError
from naq.cli.parameter import Group, imported
from naq.cli.parser import build, parse

PLACES = {name: place for name, (place, _) in COMMANDS.items()}
#: Values that a reader of lines may take for something else; "7" and "json" are good for most options.
VALUES = (
    "7",
    "json",
    "a,b",
    "x=y",
    "name=world",
    "none",
    "NULL",
    "true",
    "0x10",
    "1_000",
    "1e3",
    "2.5",
    "-1",
    "-",
    "",
    "é",
    "[1]",
)


def _commands() -> Iterator[tuple[str, ...]]:
    for name, place in PLACES.items():
        found = imported(place)
        yield from ((name, below) for below in found.commands) if isinstance(found, Group) else [(name,)]


def _function(path: tuple[str, ...]) -> Any:
    found: Any = imported(PLACES[path[0]])
    if len(path) > 1:
        found = found.commands[path[1]]
    return imported(found) if isinstance(found, str) else found


def _lines(path: tuple[str, ...]) -> Iterator[list[str]]:
    """Its places with each number of words, each of its own options with each value, and pairs of these."""
    function = _function(path)
    places = [each for each in signature(function).parameters.values() if each.kind is Declared.POSITIONAL_ONLY]
    needed = ["text" for each in places if each.default is Declared.empty]
    everywhere = path != ("queues", "pause")  # what all commands share is tried with one of them
    found = quick.options_of(function).items()
    options = [name for name, option in found if not (everywhere and option.parameter in {"common", "consent"})]
    bare = [*path, *needed]
    yield from (list(path[:count]) for count in range(len(path) + 1))
    yield from ([*path, *["text"] * count] for count in range(len(places) + 3))
    yield from ([*path, value, *needed[1:]] for value in VALUES[: 3 if needed else 1])
    alike = {(option.kind, option.read): name for name, option in found}  # of each kind one is tried with all values
    for option in options:
        yield [*bare, option]
        yield from ([*path, f"{option}={value}", *needed] for value in VALUES[:2])
    for option in {*alike.values()} & {*options}:
        yield [option, *bare]
        yield [*path, option, *needed, "text"]
        yield [*bare, option, "7", option, "7"]
        yield from ([*bare, option, value] for value in VALUES)
    for option, other in pairwise([*options, "--json", "-q"]):
        yield [*bare, option, "7", other]
    yield from ([*bare, word] for word in ("--help", "-h", "--version", "--", "--bogus", "--no-json", "-qn", "-n7"))


@pytest.fixture(scope="module")
def library() -> App:
    return build(COMMANDS)


@pytest.mark.parametrize("path", list(_commands()), ids=" ".join)
def test_what_is_read_quickly_is_what_the_library_reads(path: tuple[str, ...], library: App) -> None:
    read = 0
    for line in _lines(path):
        found = quick.read(PLACES, line)
        if found is not None:
            read += 1
            command, given, _ = library.parse_args(line, exit_on_error=False, print_error=False, help_on_error=False)
            assert (found.function, list(found.args), dict(found.kwargs)) == (
                command,
                list(given.args),
                dict(given.kwargs),
            ), line
    assert read or path == ("completion",), "not one line of it is read quickly"


@pytest.mark.parametrize(
    "line",
    [
        "queues list --json",
        "jobs list --queue mail --state failed,retrying -n 5",
        "enqueue tasks.hello name=world --wait --tag team=shop --tag k=v",
        "jobs cancel 01JC4N9W2V 01JC4N9W2W -y",
        "dead list --kind failed",
        "worker tasks:app -q mail -c 20",
    ],
)
def test_what_people_type_all_day_is_read_quickly(line: str) -> None:
    assert quick.read(PLACES, line.split()) is not None


@pytest.mark.parametrize(
    "line", ["", "queues", "queues lst", "queues list --jsn", "jobs show", "jobs list -n x", "wrker"]
)
def test_mistakes_are_left_to_the_library(line: str) -> None:
    assert quick.read(PLACES, line.split()) is None
    if line not in {"", "queues"}:  # which are no mistakes: they ask what there is
        with pytest.raises(UsageError, match="--help"):
            parse(COMMANDS, line.split())
