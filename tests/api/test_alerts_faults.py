"""Alerts while what they need is away: the broker, the database, the server that judges, who is to be told."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx2 as httpx
import psycopg
import pytest
from alert_tools import QUICK, Hook, incident, incidents, make_hook, make_rule
from api_tools import DEADLINE, eventually, serving

from naq.config import Config
from naq.server.ingest import service
from naq.testing.broker import bundled_server
from naq.testing.clock import FakeClock
from naq.testing.proxy import FaultProxy
from tests.history.history_tools import make_url

#: What lets a server notice within seconds that something is away.
HASTY: dict[str, Any] = QUICK | {"request_timeout": 1.5, "breaker_open": 0.2, "breaker_failures": 2}


@pytest.fixture
def hook() -> Generator[Hook]:
    with Hook() as one:
        yield one


def enqueue(client: httpx.Client, queue: str) -> None:
    """A job; asked for again while the server says that it cannot yet, as a busy machine makes it say."""

    def stored() -> bool:
        answer = client.post("/api/v1/jobs", json={"task": "t", "queue": queue}, headers={"Idempotency-Key": queue})
        assert answer.status_code in {201, 409, 503}, answer.text  # 409: the try that timed out is not over yet
        return answer.status_code == 201

    eventually(stored, f"a job in {queue}")


def test_a_broker_that_is_lost_is_told_while_it_is_away(hook: Hook, tmp_path: Path) -> None:
    with bundled_server() as nats:
        config = Config(broker_url=nats.url, namespace="lost")
        with serving(config, tmp_path, **HASTY) as served, served.client() as client:
            make_hook(client, hook)
            make_rule(client, "broker", "broker_lost", 0.2, channels=["ops"])
            make_rule(client, "deep", "queue_depth", 0, target="q", channels=["ops"])
            enqueue(client, "q")
            incident(client, "deep", "open")
            nats.kill()
            eventually(lambda: any(one["incident"]["rule"] == "broker" for one in hook.said("incident.opened")))
            assert client.get("/api/v1/queues").status_code == 503
            assert incidents(client, "deep", "open"), "what nobody knows stays as it was"
            nats.restart()
            ended = eventually(lambda: hook.said("incident.resolved"))
            assert [one["incident"]["rule"] for one in ended] == ["broker"]


def test_a_database_that_is_lost_is_told_at_once_and_written_down_later(hook: Hook, tmp_path: Path) -> None:
    with bundled_server() as nats, make_url("postgresql", tmp_path) as url:
        place, _, rest = url.partition("@")[2].partition("/")
        with FaultProxy(place) as proxy:
            database = f"{url.partition('@')[0]}@127.0.0.1:{proxy.port}/{rest}"
            config = Config(broker_url=nats.url, namespace="lost")
            how = HASTY | {"database": database}
            with serving(config, tmp_path, **how) as served, served.client() as client:
                make_hook(client, hook)
                make_rule(client, "database", "database_lost", 0.2, channels=["ops"], repeat_s=3600)
                eventually(lambda: served.core.alerts.leading)
                rules = served.core.alerts
                eventually(lambda: any(one.name == "database" for one in rules._rules))  # pyright: ignore[reportPrivateUsage]
                proxy.refuse()
                proxy.reset()
                [told] = eventually(lambda: hook.said("incident.opened"))
                assert client.get("/api/v1/alerts/incidents").status_code == 503
                proxy.heal()
                eventually(lambda: client.get("/api/v1/alerts/incidents").status_code == 200)
                one = incident(client, "database", "resolved")
                assert one["id"] == told["incident"]["id"]
                eventually(lambda: hook.said("incident.resolved"))
                path = f"/api/v1/alerts/incidents/{one['id']}"
                eventually(lambda: all(each["state"] == "sent" for each in client.get(path).json()["deliveries"]))
                told_of = client.get(path).json()["deliveries"]
                assert sorted((each["what"], each["tries"]) for each in told_of) == [("opened", 1), ("resolved", 1)]
    assert len(hook.said("incident.opened")) == 1


def test_what_was_said_in_the_dark_is_written_down_by_who_said_it_though_another_leads(
    hook: Hook, tmp_path: Path
) -> None:
    """The database is away from the server that leads, and there for the other, which takes over meanwhile."""
    with bundled_server() as nats, make_url("postgresql", tmp_path) as url, ExitStack() as stack:
        place, _, rest = url.partition("@")[2].partition("/")
        proxy = stack.enter_context(FaultProxy(place))
        time = stack.enter_context(FakeClock(None, ticking=True))
        config = Config(broker_url=nats.url, namespace="dark")
        far = f"{url.partition('@')[0]}@127.0.0.1:{proxy.port}/{rest}"
        cut = stack.enter_context(serving(config, tmp_path, **HASTY | {"database": far}))
        client = stack.enter_context(cut.client())
        make_hook(client, hook)
        make_rule(client, "database", "database_lost", 0.2, channels=["ops"], repeat_s=3600, clear_s=3600)
        eventually(lambda: cut.core.alerts.leading)
        eventually(lambda: any(one.name == "database" for one in cut.core.alerts._rules))  # pyright: ignore[reportPrivateUsage]
        other = stack.enter_context(serving(config, tmp_path, **HASTY | {"database": url}))
        asks = stack.enter_context(other.client())
        hook.answers = [(503, {})]
        proxy.refuse()
        proxy.reset()
        [told] = eventually(lambda: hook.said("incident.opened"))
        time.advance(11)  # the lease of the one that was cut off is over
        eventually(lambda: other.core.alerts.leading)
        proxy.heal()
        eventually(lambda: cut.core.database.since is None and not cut.core.alerts.leading)
        one = incident(asks, "database", "open")
        assert one["id"] == told["incident"]["id"]
        time.advance(11)  # the second try is due, by the other one
        eventually(lambda: len(hook.said("incident.opened")) == 2)
        path = f"/api/v1/alerts/incidents/{one['id']}"
        eventually(lambda: [each["state"] for each in asks.get(path).json()["deliveries"]] == ["sent"])


def test_two_servers_tell_once_and_one_takes_over_from_the_other(hook: Hook, tmp_path: Path) -> None:
    with bundled_server() as nats, ExitStack() as going, ExitStack() as staying:
        config = Config(broker_url=nats.url, namespace="two")
        goes = going.enter_context(serving(config, tmp_path, **QUICK))
        eventually(lambda: goes.core.alerts.leading)
        stays = staying.enter_context(serving(config, tmp_path, **QUICK))
        client = staying.enter_context(stays.client())
        make_hook(client, hook)
        make_rule(client, "deep", "queue_depth", 0, channels=["ops"], repeat_s=3600)
        for queue in ("a", "b", "c"):
            enqueue(client, queue)
        eventually(lambda: len(hook.said("incident.opened")) == 3)
        assert not stays.core.alerts.leading
        going.close()
        eventually(lambda: stays.core.alerts.leading)
        enqueue(client, "d")
        eventually(lambda: len(hook.said("incident.opened")) == 4)
        subjects = [one["incident"]["subject"] for one in hook.said("incident.opened")]
        assert sorted(subjects) == ["a", "b", "c", "d"], "each was told once"


def test_a_history_that_stands_still_is_told_and_so_is_that_it_has_caught_up(
    hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another session holds the table of jobs: it can be read, and nothing can be written down."""
    monkeypatch.setattr(service, "STILL", 0.5)
    with bundled_server() as nats, make_url("postgresql", tmp_path) as url, psycopg.connect(url) as holder:
        config = Config(broker_url=nats.url, namespace="lag")
        how = QUICK | {"database": url}
        with serving(config, tmp_path, **how) as served, served.client() as client:
            make_hook(client, hook)
            make_rule(client, "behind", "ingest_lag", 0.5, channels=["ops"])
            enqueue(client, "q")
            eventually(lambda: client.get("/api/v1/jobs").json()["items"])
            holder.execute("LOCK TABLE jobs IN SHARE MODE")
            enqueue(client, "r")
            one = incident(client, "behind", "open")
            assert 0.5 < one["value"] < DEADLINE
            eventually(lambda: client.get("/api/v1/overview").json()["ingest_lag_s"] > 0.5)
            holder.rollback()
            incident(client, "behind", "resolved")
            eventually(lambda: hook.said("incident.resolved"))
            assert [one["queue"] for one in client.get("/api/v1/jobs").json()["items"]] == ["r", "q"]


@contextmanager
def process(folder: Path, broker: str) -> Generator[tuple[subprocess.Popen[bytes], str]]:
    """``naq server`` as a process, and its address."""
    settings = {
        "NAQ_BROKER_URL": broker,
        "NAQ_SERVER_DATABASE": f"sqlite:///{folder}/s.db",
        "NAQ_SERVER_ALERT_EVERY": "0.2",
        "NAQ_SERVER_WEBHOOK_ALLOW": "127.0.0.1",
        "NAQ_SERVER_WEBHOOK_TIMEOUT": "60",
    }
    command = [sys.executable, "-m", "naq", "server", "--port", "0"]
    one = subprocess.Popen(command, cwd=folder, env=os.environ | settings, stderr=subprocess.PIPE)
    try:
        assert one.stderr is not None
        yield one, next(line for line in one.stderr if b"naq server on " in line).decode().split()[-1]
    finally:
        one.kill()
        one.wait(DEADLINE)
        assert one.stderr is not None
        one.stderr.close()


def test_a_message_survives_the_death_of_who_sends_it(hook: Hook, tmp_path: Path) -> None:
    with bundled_server() as nats:
        hook.held.set()
        with (
            process(tmp_path, nats.url) as (killed, address),
            httpx.Client(base_url=address, trust_env=False) as client,
        ):
            make_hook(client, hook)
            make_rule(client, "deep", "queue_depth", 0, target="q", channels=["ops"], repeat_s=3600)
            client.post("/api/v1/jobs", json={"task": "t", "queue": "q"}).raise_for_status()
            eventually(lambda: hook.got)
            killed.kill()
        hook.held.clear()
        begun = time.monotonic()
        with process(tmp_path, nats.url) as (_, address), httpx.Client(base_url=address, trust_env=False) as client:
            eventually(lambda: len(hook.got) == 2)
            took = time.monotonic() - begun
            assert hook.got[0][0]["webhook-id"] == hook.got[1][0]["webhook-id"], (
                "who takes it knows that it is the same"
            )
            [delivery] = eventually(lambda: [
                one for one in client.get("/api/v1/alerts/deliveries").json()["items"] if one["state"] == "sent"
            ])  # fmt: skip
            assert delivery["tries"] == 1
            assert len(incidents(client, "deep", "open")) == 1
        assert took < DEADLINE
