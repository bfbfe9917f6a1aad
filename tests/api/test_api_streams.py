"""Live events over real sockets: what is resumed, merged and limited, and who is dropped, with which reason."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psutil
import pytest
from api_tools import Served, events, eventually, next_event, serving

from naq.backends import from_url
from naq.backends.base import Event
from naq.config import Config
from naq.server import serve

EVENTS = "/api/v1/events"


def append(config: Config, *told: tuple[str, str, dict[str, Any]]) -> None:
    """Write events (kind, job, what is said) to the log, as workers do."""

    async def write() -> None:
        backend = from_url(config)
        await backend.open(["default"])
        try:
            await backend.append([
                Event(kind=kind, job_id=job_id, queue="default", data=json.dumps(data).encode(), at=time.time())
                for kind, job_id, data in told
            ])  # fmt: skip
        finally:
            await backend.close()

    asyncio.run(write())


def progress(job_id: str, number: int) -> tuple[str, str, dict[str, Any]]:
    return "progress", job_id, {"value": number / 1000, "message": f"step {number}"}


def started(job_id: str) -> tuple[str, str, dict[str, Any]]:
    return "started", job_id, {"task": "shop.add", "run": 1, "attempt": 1, "worker": "w"}


@contextmanager
def watching(client: httpx.Client, topics: str, **headers: str) -> Generator[Any]:
    with client.stream("GET", EVENTS, params={"topics": topics}, headers=headers) as answer:
        assert answer.status_code == 200, answer.read()
        yield events(answer)


def test_who_comes_back_to_another_server_goes_on_where_they_were(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="resume")
    with serving(config, tmp_path) as served, served.client() as client, watching(client, "job:a,job:b") as stream:
        generation = next_event(stream, "hello")["generation"]
        append(config, started("a"))
        last = next_event(stream, "job.changed", id="a").id
        assert last.startswith(generation)
    append(config, started("b"), progress("a", 1), progress("a", 2), ("started", "other", {}))
    with (
        serving(config, tmp_path) as served,
        served.client() as client,
        watching(client, "job:a,job:b", **{"Last-Event-ID": last}) as stream,
    ):
        told = [next(stream) for _ in range(3)]
        assert [event.name for event in told] == ["hello", "job.changed", "job.progress"]
        assert (told[1]["id"], told[2]["patch"]["progress_text"]) == ("b", "step 2")  # of one thing the last word
        append(config, started("a"))
        live = next_event(stream, "job.changed", id="a")
        places = [int(event.id.rpartition("-")[2]) for event in (*told[1:], live)]
        assert places == sorted(set(places))
        with watching(client, "job:a", **{"Last-Event-ID": live.id}) as again:  # nothing is told twice
            next_event(again, "hello")
            append(config, progress("a", 7))
            assert next(again)["patch"]["progress_text"] == "step 7"


def test_who_missed_too_much_begins_anew(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="missed")
    with serving(config, tmp_path, sse_replay=3) as served, served.client() as client:
        with watching(client, "job:a") as stream:
            first = next_event(stream, "hello").id
        append(config, *(progress("a", number) for number in range(4)))
        with watching(client, "job:a", **{"Last-Event-ID": first}) as stream:
            next_event(stream, "hello")
            assert next_event(stream, "reset")["reason"] == "too_old"
        with watching(client, "job:a", **{"Last-Event-ID": "what-is-this"}) as stream:
            next_event(stream, "hello")
            assert next_event(stream, "reset")["reason"] == "generation"


def test_what_comes_at_once_of_one_thing_is_told_once(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="merged")
    with (
        serving(config, tmp_path, sse_step=0.5) as served,
        served.client() as client,
        watching(client, "job:a") as stream,
    ):
        next_event(stream, "hello")
        append(config, *(progress("a", number) for number in range(300)))
        texts: list[str] = []
        while not texts or texts[-1] != "step 299":
            texts.append(next_event(stream, "job.progress")["patch"]["progress_text"])
        assert len(texts) < 10


def test_who_is_told_more_than_they_may_hold_is_sent_a_reset_and_goes_on(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="slow")
    jobs = [f"j{number}" for number in range(40)]
    with (
        serving(config, tmp_path, sse_buffer=8, sse_step=0.5) as served,
        served.client() as client,
        watching(client, ",".join(f"job:{job}" for job in jobs)) as stream,
    ):
        next_event(stream, "hello")
        append(config, *(started(job) for job in jobs))
        assert next_event(stream, "reset")["reason"] == "slow"
        append(config, started("j7"))
        while not ((event := next(stream)).name == "job.changed" and event["id"] == "j7"):
            if event.name == "reset":  # the rest of the forty came only now, and what was told with it is dropped too
                append(config, started("j7"))


def test_streams_are_limited_for_each_and_in_all(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="limits")
    limits = {"sse_clients": 3, "sse_clients_each": 2, "auth": "tokens"}
    with serving(config, tmp_path, **limits) as served:
        one, two = (served.token("viewer", name=name) for name in ("one", "two"))
        with served.client(one) as first, served.client(two) as second:
            with watching(first, "jobs") as a, watching(first, "jobs") as b, watching(second, "jobs") as c:
                for stream in (a, b, c):
                    next_event(stream, "hello")
                each = first.get(EVENTS, params={"topics": "jobs"})
                assert (each.status_code, each.json()["code"]) == (503, "streams_full")
            eventually(lambda: served.core.hub.count == 0, "all have gone")
            with watching(first, "jobs"), watching(first, "jobs"):
                third = first.get(EVENTS, params={"topics": "jobs"})
                assert (third.status_code, third.json()["code"]) == (429, "too_many_streams")
                assert int(third.headers["Retry-After"]) >= 1
                with watching(second, "jobs") as other:
                    assert next_event(other, "hello")


def test_a_quiet_stream_shows_that_it_lives(broker: str, tmp_path: Path) -> None:
    config = Config(broker_url=broker, namespace="quiet")
    with (
        serving(config, tmp_path, sse_heartbeat=0.2) as served,
        served.client() as client,
        client.stream("GET", EVENTS, params={"topics": "job:none"}) as answer,
    ):
        assert "content-encoding" not in answer.headers  # a compressor for each client costs more than it saves
        begun, beats = time.monotonic(), 0
        for line in answer.iter_lines():
            beats += line.startswith(":")
            if beats == 3:
                break
        assert 0.4 <= time.monotonic() - begun < 5


def test_who_takes_nothing_is_dropped_and_slows_nobody(
    broker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(serve, "UNTAKEN", 1000)
    caplog.set_level("INFO", "naq.server")
    config = Config(broker_url=broker, namespace="stalled")
    lines = {"lines": [{"at": 1.0, "level": "INFO", "logger": "x", "text": "y" * 8000}]}
    with serving(config, tmp_path, sse_write=0.5, sse_step=0.05) as served, served.client() as client:
        stalled = stall(served)
        with watching(client, "logs:a,job:a") as stream:
            next_event(stream, "hello")
            assert served.core.hub.count == 2

            def flood() -> bool:
                """A megabyte at a time, and how long the other one waits for what was said last."""
                mark = time.monotonic()
                append(config, *[("log", "a", lines)] * 100, progress("a", int(mark * 1000) % 1000))
                next_event(stream, "job.progress")
                assert time.monotonic() - mark < 5
                return served.core.hub.count == 1

            eventually(flood, "the stalled one is dropped")
        assert "it took nothing for 0.5 s" in caplog.text
        port = int(served.url.rpartition(":")[2])
        ours = stalled.getsockname()[1]

        def gone() -> bool:
            held = [one for one in psutil.Process().net_connections("tcp") if one.laddr.port == port]
            return not any(one.raddr and one.raddr.port == ours for one in held)

        eventually(gone, "its connection is closed")
        stalled.close()


def stall(served: Served) -> socket.socket:
    """A client that asks for a stream and reads no more of it than the first bytes."""
    host, port = served.url.removeprefix("http://").split(":")
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    made.connect((host, int(port)))
    made.sendall(f"GET {EVENTS}?topics=logs:a HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
    assert made.recv(64).startswith(b"HTTP/1.1 200")
    return made


def test_every_event_says_how_far_one_has_come_and_so_does_a_quiet_stream(broker: str, tmp_path: Path) -> None:
    """Who watches what is not of the log, or nothing that happens, does not begin anew for that."""
    config = Config(broker_url=broker, namespace="far")
    with serving(config, tmp_path, sse_heartbeat=0.1, sse_replay=2) as served, served.client() as client:
        with client.stream("GET", EVENTS, params={"topics": "queues,job:quiet"}) as answer:
            ids = (line.removeprefix("id: ") for line in answer.iter_lines() if line.startswith("id: "))
            begun = int(next(ids).rpartition("-")[2])
            append(config, *(progress("other", number) for number in range(30)))
            now = next(one for one in ids if int(one.rpartition("-")[2]) >= begun + 30)
        with watching(client, "queues,job:quiet", **{"Last-Event-ID": now}) as stream:
            assert next_event(stream, "hello").id == now
            append(config, started("quiet"))
            event = next(one for one in stream if one.name != "queue.changed")
            assert (event.name, event["id"]) == ("job.changed", "quiet"), "no reset"
        with watching(client, "queues,jobs,workers,overview,job:quiet") as stream:
            append(config, started("quiet"))
            seen = [next(stream)]
            while seen[-1].name != "jobs.matching":
                seen.append(next(stream))
            assert all(event.id for event in seen)
            places = [int(event.id.rpartition("-")[2]) for event in seen]
            assert places == sorted(places)


def test_who_watches_dead_letters_is_told_which_jobs_failed_for_good(served: Served, client: httpx.Client) -> None:
    with watching(client, "dead") as stream:
        next_event(stream, "hello")
        client.post("/api/v1/jobs", json={"task": "shop.add", "args": [1]})
        job_id = client.post("/api/v1/jobs", json={"task": "shop.fail", "args": ["no"]}).json()["id"]
        told = next_event(stream, "job.changed")
        assert (told["id"], told["patch"]["state"]) == (job_id, "failed")
