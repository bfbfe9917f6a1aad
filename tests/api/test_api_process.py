"""`naq server` as a process, `naq tokens` beside it, and the same API on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import httpx2 as httpx
import pytest
from api_tools import DEADLINE, events, eventually, next_event, serving

from naq.cli.app import run
from naq.config import Config
from naq.config.server import ServerConfig
from naq.server.access import audit
from naq.server.bulk import rows
from naq.server.bulk.rows import BulkRow
from naq.server.serve import listen
from naq.server.store import open_store
from naq.server.store.tables import errors
from tests.history.history_tools import make_url


class Said(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


NAQ = [sys.executable, "-m", "naq"]


@pytest.fixture
def naq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Commands in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run_command(*args: str, **environment: str) -> Said:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = run(args)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run_command


@pytest.mark.anyio
async def test_no_answer_waits_for_the_acknowledgement_of_its_first_packet() -> None:
    at_once: asyncio.Queue[int] = asyncio.Queue()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken: socket.socket = writer.get_extra_info("socket")
        at_once.put_nowait(taken.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        writer.close()

    listening = listen(ServerConfig(port=0))
    async with await asyncio.start_server(answer, sock=listening), asyncio.timeout(DEADLINE):
        _, writer = await asyncio.open_connection(*listening.getsockname())
        assert await at_once.get()
        writer.close()


def test_the_command_serves_lets_streams_go_and_ends(broker: str, tmp_path: Path, naq: Callable[..., Said]) -> None:
    database = {"NAQ_SERVER_DATABASE": f"sqlite:///{tmp_path}/s.db"}
    made = naq("tokens", "create", "ann", "--role", "admin", **database)
    token = made.stdout.strip()
    assert token.startswith("naq_"), made.stderr
    environment = os.environ | database | {"NAQ_BROKER_URL": broker, "NAQ_SERVER_AUTH": "tokens"}
    process = subprocess.Popen([*NAQ, "server", "--port", "0"], cwd=tmp_path, env=environment, stderr=subprocess.PIPE)
    try:
        assert process.stderr is not None
        address = next(line for line in process.stderr if b"naq server on " in line).decode().split()[-1]
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=address, headers=headers, trust_env=False, timeout=DEADLINE) as client:
            assert client.get("/api/v1/me").json()["name"] == "ann"
            assert client.get("/readyz").json()["ready"] is True
            with client.stream("GET", "/api/v1/events", params={"topics": "queues"}) as answer:
                stream = events(answer)
                next_event(stream, "hello")
                begun = time.monotonic()
                process.send_signal(signal.SIGTERM)
                assert next_event(stream, "bye")["reason"] == "stopping"
        assert process.wait(DEADLINE) == 0
        assert time.monotonic() - begun < DEADLINE
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    listed = naq("tokens", "list", "-q", **database).stdout.split()
    assert naq("tokens", "revoke", *listed, **database).returncode == 0
    assert "revoked" in naq("tokens", "list", **database).stdout


def test_alerts_are_looked_at_made_and_muted_from_a_terminal(tmp_path: Path, naq: Callable[..., Said]) -> None:
    database = {"NAQ_SERVER_DATABASE": f"sqlite:///{tmp_path}/s.db"}
    assert "no-workers" in naq("alerts", "list", "-q", **database).stdout.split()
    made = naq("alerts", "create", "slow", "run_p95", "--threshold", "5", "--target", "shop.send", **database)
    assert made.returncode == 0, made.stderr
    assert naq("alerts", "create", "slow", "run_p95", **database).returncode == 4
    assert "failure_rate" in naq("alerts", "create", "x", "failure_rat", **database).stderr
    assert naq("alerts", "create", "x", "failure_rate", "--threshold", "20", **database).returncode == 2
    assert naq("alerts", "create", "x", "failures", "--channel", "ops", **database).returncode == 3
    assert naq("alerts", "mute", "slow", "--for", "2h", **database).returncode == 0
    [rule] = [one for one in json.loads(naq("alerts", "list", "--json", **database).stdout) if one["name"] == "slow"]
    assert (rule["state"], rule["threshold"], rule["target"]) == ("muted", 5, "shop.send")
    assert naq("alerts", "mute", "slow", "--for", "0s", **database).returncode == 0
    assert naq("alerts", "mute", "none", **database).returncode == 3
    assert naq("alerts", "test", "ops", **database).returncode == 3
    assert json.loads(naq("alerts", "incidents", "--json", **database).stdout) == []


def test_errors_and_bulk_actions_are_looked_at_and_decided_from_a_terminal(
    tmp_path: Path, naq: Callable[..., Said]
) -> None:
    address = f"sqlite:///{tmp_path}/s.db"
    database = {"NAQ_SERVER_DATABASE": address}
    group = {
        "fingerprint": "f1", "task": "shop.send", "type": "builtins.ValueError", "message": "no such order",
        "count": 3, "first_at": 1, "last_at": 2, "last_job_id": "j1",
    }  # fmt: skip
    row = BulkRow(
        id="b1", name="", action="move", filter="queue:a", ids=None, before_at=1, rate=None, spread_s=None,
        options='{"queue":"b"}', state="running", created_at=1, created_by="ann", finished_at=None, total=9, done=4,
        skipped=2, skips='{"it is running":2}', failed=0, failures="[]", place=None,
    )  # fmt: skip

    async def fill() -> None:
        store = await open_store(address)
        async with store.writing() as connection:
            await connection.execute(errors.insert().values(**group))
            await rows.add(connection, row)
        await store.close()

    asyncio.run(fill())

    def error() -> Any:
        return json.loads(naq("errors", "show", "f1", "--json", **database).stdout)

    assert "no such order" in naq("errors", "list", "--task", "shop.send", **database).stdout
    assert naq("errors", "ignore", "f1", "--until", "7d", "--times", "5", "--reason", "known", **database).stdout
    assert (error()["state"], error()["ignored_count"], error()["note"]) == ("ignored", 8, "known")
    said = naq("errors", "resolve", "f1", "--next-version", **database)
    assert (said.returncode, "set code_version" in said.stderr) == (2, True)
    assert naq("errors", "resolve", "f1", **database).returncode == 0
    assert error()["state"] == "resolved"
    assert naq("errors", "reopen", "f1", "-q", **database).stdout == "f1\n"
    assert naq("errors", "reopen", "f2", **database).returncode == 3
    assert naq("bulk", "list", "-q", **database).stdout == "b1\n"
    shown = naq("bulk", "show", "b1", **database).stdout
    assert "move queue=b" in shown
    assert "2: it is running" in shown
    assert naq("bulk", "abort", "b1", **database).stdout == "b1  aborted\n"
    assert naq("bulk", "abort", "b1", **database).returncode == 4

    async def audited() -> list[str]:
        store = await open_store(address)
        async with store.reading() as connection:
            found = await audit.page(connection, limit=10)
        await store.close()
        return [one.action for one in found]

    assert asyncio.run(audited()) == ["abortBulk", "abortBulk", "reopenError", "resolveError", "ignoreError"]


def test_a_public_address_and_a_misspelt_setting_are_refused(naq: Callable[..., Said]) -> None:
    public = naq("server", "--host", "0.0.0.0")
    assert (public.returncode, "everybody would be admin" in public.stderr) == (2, True)
    misspelt = naq("server", NAQ_SERVER_PROT="1")
    assert (misspelt.returncode, "did you mean 'NAQ_SERVER_PORT'" in misspelt.stderr) == (2, True)
    wrong = naq("config", "show", NAQ_SERVER_RATE="often")
    assert (wrong.returncode, "NAQ_SERVER_RATE" in wrong.stderr) == (2, True)


def test_the_api_stands_on_postgresql_as_well(broker: str, tmp_path: Path) -> None:
    with make_url("postgresql", tmp_path) as url:
        config = Config(broker_url=broker, namespace="postgres")
        with serving(config, tmp_path, database=url) as served, served.client() as client:
            key = {"Idempotency-Key": "k"}
            call = {"task": "shop.add", "args": [1], "delay_ms": 3_600_000, "tags": {"on": "pg"}}
            first = client.post("/api/v1/jobs", json=call, headers=key)
            second = client.post("/api/v1/jobs", json=call, headers=key)
            assert first.json() == second.json()
            assert client.post("/api/v1/jobs", json={**call, "args": [2]}, headers=key).json()["code"] == "key_reused"
            which = {"filter": "tag:on=pg state:scheduled"}
            eventually(lambda: client.get("/api/v1/jobs", params=which).json()["items"], "the job in the history")
            begun = client.post("/api/v1/bulk-actions", json={"action": "cancel", **which})
            done = eventually(
                lambda: (found := client.get(begun.headers["Location"]).json())["state"] == "finished" and found
            )
            assert (done["done"], done["failed"]) == (1, 0)
            made = client.post("/api/v1/tokens", json={"name": "x"}).json()
            assert client.delete(f"/api/v1/tokens/{made['token']['id']}").json()["done"] is True
            assert client.get("/api/v1/audit", params={"action": "createBulk"}).json()["items"][0]["status"] == 202
            for path in ("errors", "stats", "trends", "overview", "durations", "search?q=shop", "tasks", "jobs/states"):
                assert client.get(f"/api/v1/{path}").status_code == 200, path
