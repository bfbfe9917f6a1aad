"""The quick way to the log says what `logging` would have said, and steps aside where anybody else is listening."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Generator
from typing import Any

import pytest

from naq.logs import JsonFormatter, TextFormatter
from naq.worker.lines import Lines

STARTED = {"event": "started", "job_id": "j1", "task": "mail.send", "queue": "mail", "attempt": 2}
ENDED = {**STARTED, "event": "succeeded", "seconds": 0.012345}
FORMATTERS = [TextFormatter(), JsonFormatter()]


@pytest.fixture
def logger() -> Generator[logging.Logger]:
    """A logger without a root above it, and nothing attached."""
    made = logging.Logger("naq.worker.jobs", logging.INFO)  # noqa: LOG001  one without a root
    yield made
    for handler in list(made.handlers):
        made.removeHandler(handler)


def attached(logger: logging.Logger, formatter: logging.Formatter) -> tuple[logging.Handler, io.StringIO]:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    logger.addHandler(handler)
    return handler, out


def say(logger: logging.Logger, text: str = "12 ms", fields: dict[str, Any] = ENDED) -> None:
    Lines(logger).say("✓", "mail.send", "j1", text, fields)


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


@pytest.mark.parametrize("fields", [STARTED, ENDED], ids=["started", "succeeded"])
@pytest.mark.parametrize("formatter", FORMATTERS, ids=["text", "json"])
def test_both_ways_say_the_same(logger: logging.Logger, formatter: logging.Formatter, fields: dict[str, Any]) -> None:
    _, out = attached(logger, formatter)
    say(logger, fields=fields)
    quick = out.getvalue()
    out.truncate(0)
    out.seek(0)
    logger.info("%s %s  %s  %s", "✓", "mail.send", "j1", "12 ms", extra=fields)
    slow = out.getvalue()
    if isinstance(formatter, TextFormatter):
        assert quick.split("  ", 1)[1] == slow.split("  ", 1)[1] == "✓ mail.send  j1  12 ms\n"
        return
    told, expected = json.loads(quick), json.loads(slow)
    assert list(told) == list(expected)
    assert quick.endswith("}\n")
    assert told.pop("@timestamp")[:15] == expected.pop("@timestamp")[:15]
    assert told == expected


@pytest.mark.parametrize("formatter", FORMATTERS, ids=["text", "json"])
def test_the_quick_way_makes_no_record(
    logger: logging.Logger, formatter: logging.Formatter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the two above would be one and the same."""
    _, out = attached(logger, formatter)
    monkeypatch.setattr(logger, "info", None)
    say(logger)
    assert "mail.send" in out.getvalue()


def test_others_that_listen_get_records(logger: logging.Logger) -> None:
    _, out = attached(logger, JsonFormatter())
    seen: list[logging.LogRecord] = []
    other = Hearing(seen)
    logger.addHandler(other)
    say(logger)
    [record] = seen
    assert (record.getMessage(), vars(record)["job_id"]) == ("✓ mail.send  j1  12 ms", "j1")
    assert len(out.getvalue().splitlines()) == 1
    logger.removeHandler(other)
    logger.parent = logging.Logger("above")  # noqa: LOG001
    logger.parent.addHandler(other)
    say(logger)
    assert len(seen) == 2
    logger.propagate = False
    say(logger)
    assert len(seen) == 2
    assert len(out.getvalue().splitlines()) == 3


def test_filters_and_levels_hold(logger: logging.Logger) -> None:
    handler, out = attached(logger, TextFormatter())
    handler.addFilter(lambda record: "secret" not in record.getMessage())
    say(logger, "a secret")
    assert out.getvalue() == ""
    handler.filters.clear()
    logger.addFilter(lambda record: "secret" not in record.getMessage())
    say(logger, "a secret")
    assert out.getvalue() == ""
    logger.filters.clear()
    handler.setLevel(logging.WARNING)
    say(logger)
    assert out.getvalue() == ""


def test_records_of_somebodys_own_are_made(logger: logging.Logger) -> None:
    """As integrations do that put trace ids into every record."""
    _, out = attached(logger, TextFormatter())
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(Counting)
    try:
        say(logger)
    finally:
        logging.setLogRecordFactory(before)
    assert Counting.made == 1
    assert len(out.getvalue().splitlines()) == 1


def test_half_a_character_is_no_error(logger: logging.Logger) -> None:
    _, out = attached(logger, JsonFormatter())
    say(logger, "put back: \ud800")
    assert json.loads(out.getvalue())["naq.job_id"] == "j1"
