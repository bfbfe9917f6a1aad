"""JSON log lines: the names of docs/logging.md, whatever a record brings along."""

from __future__ import annotations

import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from naq.context import Context
from naq.logs import ECS_VERSION, FIELDS, OUTCOMES, JsonFormatter, TextFormatter

PAGE = (Path(__file__).parents[2] / "docs" / "logging.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (`.*?) \|", PAGE.partition("## For machines")[2], re.MULTILINE)
DOCUMENTED = {name for row in ROWS for name in re.findall(r"`([^`]+)`", row)}
ALWAYS = {"@timestamp", "log.level", "message", "ecs.version", "log.logger", "process.pid", "process.thread.name"}


def record(
    text: str = "said", *, level: int = logging.INFO, name: str = "naq.worker", **extra: Any
) -> logging.LogRecord:
    """A record as `logging` makes it of one call."""
    exc_info = sys.exc_info() if sys.exc_info()[0] is not None else None
    return logging.getLogger(name).makeRecord(name, level, "/srv/tasks.py", 7, text, (), exc_info, "send", extra)


def said(it: logging.LogRecord) -> dict[str, Any]:
    """What its JSON line holds; it must be one line of strict JSON."""
    line = JsonFormatter().format(it)
    assert "\n" not in line
    line.encode("utf-8")

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(line, parse_constant=refuse)


def test_every_line_says_when_where_and_how_loud() -> None:
    line = said(record())
    assert set(line) == ALWAYS
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", line["@timestamp"])
    assert (line["log.level"], line["log.logger"], line["message"]) == ("info", "naq.worker", "said")
    assert line["ecs.version"] == ECS_VERSION


def test_all_names_are_documented_and_all_documented_names_are_there() -> None:
    try:
        raise ValueError("no good")
    except ValueError:
        fields: dict[str, Any] = dict.fromkeys(FIELDS, "x") | {"event": "failed", "seconds": 0.25, "colour": "red"}
        line = said(record(level=logging.ERROR, **fields))
    assert set(line) - {"labels.colour"} | {"labels.<name>"} == DOCUMENTED
    assert (line["event.outcome"], line["event.duration"], line["labels.colour"]) == ("failure", 250_000_000, "red")
    assert ECS_VERSION in PAGE
    assert all(f"`{event}`" in PAGE for event in OUTCOMES)


def test_a_job_is_named_in_every_line_of_its_logger(caplog: pytest.LogCaptureFixture) -> None:
    context = Context(job_id="j", task="send", queue="mail", attempt=2)
    with caplog.at_level(logging.INFO):
        context.logger.info("half of it", extra={"done": 0.5})
    line = said(caplog.records[0])
    assert (line["naq.job_id"], line["naq.task"], line["naq.queue"], line["naq.attempt"]) == ("j", "send", "mail", 2)
    assert (line["log.logger"], line["labels.done"]) == ("naq.task.send", 0.5)


def test_an_exception_has_fields_of_its_own() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not even shown")

    for error, text in ((KeyError("k"), "'k'"), (Mute(), "<exception str() failed>")):
        try:
            raise error
        except (KeyError, Mute):
            line = said(record(level=logging.ERROR))
        assert line["error.type"].endswith(type(error).__qualname__)
        assert line["error.message"] == text
        assert "test_logs.py" in line["error.stack_trace"]
        assert (line["log.origin.file.line"], line["log.origin.function"]) == (7, "send")


def test_extras_neither_collide_with_the_schema_nor_break_the_line() -> None:
    circle: list[Any] = []
    circle.append(circle)
    extra: dict[str, Any] = {
        "user": "ada",
        "http.request.method": "GET",
        "log.level": "mine",
        "none": None,
        "not_a_number": float("nan"),
        "odd.number": float("inf"),
        "parts": {"a": [1, 2]},
        "circle": circle,
        "thing": object,
        "half": "\udcff",
    }
    line = said(record(**extra))
    assert (line["labels.user"], line["http.request.method"], line["log.level"]) == ("ada", "GET", "info")
    assert (line["labels.none"], line["labels.not_a_number"], line["odd.number"]) == (None, "nan", "inf")
    assert (line["labels.parts"], line["labels.circle"]) == ('{"a": [1, 2]}', "[[...]]")
    assert line["labels.thing"] == "<class 'object'>"
    assert line["labels.half"] == "\udcff"
    assert set(line) - ALWAYS == {name if "." in name else f"labels.{name}" for name in extra} - {"log.level"}


def test_traces_are_named_and_no_trace_is_none() -> None:
    line = said(record(otelTraceID="4bf9", otelSpanID="00f0", otelServiceName="shop", otelTraceSampled=True))
    assert (line["trace.id"], line["span.id"], line["service.name"]) == ("4bf9", "00f0", "shop")
    assert not {"trace.id", "span.id"} & set(said(record(otelTraceID="0", otelSpanID="0")))


def test_text_is_for_people() -> None:
    form = TextFormatter().format
    assert re.fullmatch(r"\d\d:\d\d:\d\d  said", form(record()))
    assert form(record(level=logging.WARNING, name="naq.nats")).endswith("  warning: naq.nats: said")
    job = record("✗ send", level=logging.WARNING, name="naq.worker.jobs", job_id="j")
    assert re.fullmatch(r"\d\d:\d\d:\d\d  ✗ send", form(job)), "its sign says enough"
