"""Whose a request is: its trace goes on in jobs, and both its ids are in every line that is logged within it."""

from __future__ import annotations

import json
import logging
from collections.abc import Generator

import httpx2 as httpx
import pytest
from api_tools import Served, eventually

from naq.logs import JsonFormatter

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


class Lines(logging.Handler):
    """JSON lines, as the server's process writes them."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonFormatter())
        self.said: list[dict[str, object]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(json.loads(self.format(record)))


@pytest.fixture
def lines() -> Generator[list[dict[str, object]]]:
    logger, handler = logging.getLogger("naq"), Lines()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        yield handler.said
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def test_the_trace_of_a_request_goes_on_in_its_job(
    served: Served, client: httpx.Client, lines: list[dict[str, object]]
) -> None:
    headers = {"traceparent": PARENT, "tracestate": "a=b", "X-Request-ID": "mine-2"}
    made = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}, headers=headers)
    job = made.json()["id"]
    batch = client.post("/api/v1/jobs/batch", json={"jobs": [{"task": "shop.add", "args": [1]}]}, headers=headers)
    assert batch.status_code == 200, batch.text

    def of(name: str, action: str) -> list[dict[str, object]]:
        return [line for line in lines if line.get("naq.job_id") == name and line.get("event.action") == action]

    for one in (job, batch.json()["results"][0]["id"]):
        [line] = eventually(lambda one=one: of(one, "succeeded"))
        assert line["trace.id"] == TRACE
    about = [line for line in lines if line.get("http.request.id") == "mine-2"]
    assert about
    assert {line["trace.id"] for line in about} == {TRACE}
    assert all("/api/v1/jobs" in str(line["message"]) for line in about)


@pytest.mark.parametrize("bad", ["", "x", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE}-00f067aa0ba902b7-01"])
def test_what_is_no_trace_is_left_out(client: httpx.Client, lines: list[dict[str, object]], bad: str) -> None:
    made = client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]}, headers={"traceparent": bad})
    job = made.json()["id"]
    eventually(lambda: [line for line in lines if line.get("naq.job_id") == job and "event.outcome" in line])
    assert not [line for line in lines if line.get("naq.job_id") == job and "trace.id" in line]
