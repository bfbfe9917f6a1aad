"""The quick way to the log says what `logging` would have said, and steps aside where anybody else is listening."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from naq.cli.logs import set_up
from naq.logs import JsonFormatter, TextFormatter
from naq.worker.lines import Line, Lines
from tests.tools import make_app, run, working

STARTED = Line("started", "mail.send", "j1", "mail", 2, 3, 0.004)
ENDED = Line("succeeded", "mail.send", "j1", "mail", 2, seconds=0.012345)
TRACED = ENDED._replace(trace="4bf92f3577b34da6a3ce929d0e0e4736")
FORMATTERS = [TextFormatter(), JsonFormatter()]


@pytest.fixture
def logger() -> Generator[logging.Logger]:
    """A logger without a root above it, and nothing attached."""
    made = logging.Logger("naq.worker.jobs", logging.INFO)  # noqa: LOG001  one without a root
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)


class Out:
    """A file that a handler writes to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = path.open("w", encoding="utf-8")

    def read(self) -> str:
        self.stream.flush()
        return self.path.read_text(encoding="utf-8")


@pytest.fixture
def out(tmp_path: Path) -> Generator[Out]:
    made = Out(tmp_path / "log")
    yield made
    made.stream.close()


def attach(logger: logging.Logger, formatter: logging.Formatter, out: Out | io.StringIO) -> logging.Handler:
    handler = logging.StreamHandler(out if isinstance(out, io.StringIO) else out.stream)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return handler


def say(logger: logging.Logger, line: Line = ENDED) -> None:
    async def turn() -> None:
        Lines(logger).say(line)

    asyncio.run(turn())


async def turn_after_next() -> None:
    """Lines are written after what their turn of the loop has sent."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


def slowly(logger: logging.Logger, line: Line) -> None:
    """As everything else is logged."""
    fields = {name: value for name, value in line._asdict().items() if name not in {"last", "waited", "trace"}}
    if line.seconds is None:
        del fields["seconds"]
    if line.trace:
        fields["trace_id"] = line.trace
    logger.info("%s %s  %s  %s", line.sign, line.task, line.job_id, line.text, extra=fields)


class Hearing(logging.Handler):
    def __init__(self, seen: list[logging.LogRecord]) -> None:
        super().__init__()
        self.seen = seen

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record)


class Counting(logging.LogRecord):
    made = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        Counting.made += 1


@pytest.mark.parametrize("line", [STARTED, ENDED, TRACED], ids=["started", "succeeded", "traced"])
@pytest.mark.parametrize("formatter", FORMATTERS, ids=["text", "json"])
def test_both_ways_say_the_same(logger: logging.Logger, out: Out, formatter: logging.Formatter, line: Line) -> None:
    attach(logger, formatter, out)
    say(logger, line)
    slowly(logger, line)
    quick, slow = out.read().splitlines()
    if isinstance(formatter, TextFormatter):
        assert quick.split("  ", 1)[1] == slow.split("  ", 1)[1] == f"{line.sign} mail.send  j1  {line.text}"
        return
    told, expected = json.loads(quick), json.loads(slow)
    assert list(told)[:7] == list(expected)[:7]
    assert told.pop("@timestamp")[:15] == expected.pop("@timestamp")[:15]
    assert told == expected


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["text", "json"])
def test_the_quick_way_makes_no_record(
    logger: logging.Logger, out: Out, formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the two above would be one and the same."""
    attach(logger, formatter, out)
    monkeypatch.setattr(logger, "info", None)
    say(logger)
    assert "mail.send" in out.read()


def test_what_is_no_file_gets_it_too(logger: logging.Logger) -> None:
    text = io.StringIO()
    attach(logger, TextFormatter(), text)
    say(logger)
    assert text.getvalue().endswith("  ✓ mail.send  j1  12 ms\n")


def test_others_that_listen_get_records(logger: logging.Logger, out: Out) -> None:
    attach(logger, JsonFormatter(), out)
    seen: list[logging.LogRecord] = []
    other = Hearing(seen)
    logger.addHandler(other)
    say(logger)
    [record] = seen
    assert (record.getMessage(), vars(record)["job_id"]) == ("✓ mail.send  j1  12 ms", "j1")
    assert len(out.read().splitlines()) == 1
    logger.removeHandler(other)
    logger.parent = logging.Logger("above")  # noqa: LOG001
    logger.parent.addHandler(other)
    say(logger)
    assert len(seen) == 2
    logger.propagate = False
    say(logger)
    assert len(seen) == 2
    assert len(out.read().splitlines()) == 3


def test_filters_and_levels_hold(logger: logging.Logger, out: Out) -> None:
    handler = attach(logger, TextFormatter(), out)
    secret = ENDED._replace(task="secret")
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    say(logger, secret)
    handler.filters.clear()
    logger.addFilter(lambda record: "secret" not in record.getMessage())
    say(logger, secret)
    logger.filters.clear()
    handler.setLevel(logging.WARNING)
    say(logger)
    assert out.read() == ""


def test_records_of_somebodys_own_are_made(logger: logging.Logger, out: Out) -> None:
    """As integrations do that put trace ids into every record."""
    attach(logger, TextFormatter(), out)
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Counting)
    try:
        say(logger)
    finally:
        logging.setLogRecordFactory(before)
    assert Counting.made == 1
    assert len(out.read().splitlines()) == 1


def test_lines_of_one_turn_are_written_together(
    logger: logging.Logger, out: Out, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, and before what is logged otherwise."""
    attach(logger, JsonFormatter(), out)
    sizes: list[int] = []
    write = os.write

    def counted(file: int, data: bytes) -> int:
        sizes.append(len(data))
        return write(file, data)

    monkeypatch.setattr(os, "write", counted)

    async def turns() -> None:
        lines = Lines(logger)
        for number in range(3):
            lines.say(ENDED._replace(attempt=number))
        await turn_after_next()
        assert len(sizes) == 1
        lines.say(ENDED._replace(attempt=3))
        lines.flush()
        logger.info("4", extra={"attempt": 4})
        await turn_after_next()

    asyncio.run(turns())
    assert [json.loads(line)["naq.attempt"] for line in out.read().splitlines()] == [0, 1, 2, 3, 4]
    assert len(sizes) == 2


def test_a_worker_as_it_comes_logs_the_quick_way(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With all that a worker itself attaches to the log: its two lines a job are most of a drain otherwise."""
    root, made = logging.getLogger(), logging.getLogger("naq.worker.jobs")
    monkeypatch.setattr(root, "handlers", [])
    monkeypatch.setattr(root, "level", root.level)
    set_up("info", "json")
    monkeypatch.setattr(made, "info", None)
    monkeypatch.setattr(made, "disabled", False)
    app = make_app()

    @app.task(name="job")
    async def job() -> int:
        return 7

    async def scenario() -> None:
        async with working(app):
            assert await (await job.enqueue()).result(timeout=10) == 7

    run(scenario())
    said = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [line["event.action"] for line in said if line["log.logger"] == made.name] == ["started", "succeeded"]
