"""The connection: found again whatever happened to it, and readiness that tells the truth (traps 5, 6, 8, 14)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path

import pytest
from jetstream_tools import PATIENCE, claim_one, job, opened, operator, server_with, story, succeeded, until

from naq.backends.base import Settled
from naq.backends.nats.backend import NatsBackend
from naq.backends.nats.broker.ports import free_ports
from naq.backends.nats.broker.process import ServerProcess
from naq.backends.nats.client import link
from naq.backends.nats.client.wire import Wire
from naq.config import Config
from naq.exceptions import BrokerTooOld, NaqConnectionError
from naq.testing.broker import bundled_server, cluster
from naq.testing.proxy import DOWN, FaultProxy

# Taken out of the environment: to naq, NAQ_ and a name is a setting, and one that it does not know is an error.
OLD = os.environ.pop("NAQ_TEST_OLD_NATS_URL", "nats://127.0.0.1:4222")


@story
async def test_it_reconnects_for_ever(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trap 5: nats-py gives up after 60 tries, two seconds apart, and is closed for good."""
    monkeypatch.setattr(link, "REDIAL_MOST", 0.01)
    dials = 0
    real = link.Link._dial  # pyright: ignore[reportPrivateUsage]

    async def dial(self: link.Link) -> Wire:
        nonlocal dials
        dials += 1
        return await real(self)

    monkeypatch.setattr(link.Link, "_dial", dial)
    async with opened(server.url, "ever") as backend:
        server.kill()
        await until(lambda: dials > 150, "150 tries")
        assert not backend.health().ready
        server.start()
        await until(lambda: backend.health().ready, "the connection to be back", within=5)
        await backend.enqueue([job("ever")])
        await claim_one(backend, "ever")


@story
async def test_a_silent_peer_is_noticed(server: ServerProcess) -> None:
    """Trap 6: nats-py notices after four to six minutes. Fault 37: within 15 s; and it goes on where it stood."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "silent") as backend:
            await backend.enqueue([job("silent")])
            claim = await claim_one(backend, "silent")
            proxy.stall()
            begin = time.monotonic()
            await until(lambda: not backend.health().ready, "the silence to be noticed", within=15)
            assert time.monotonic() - begin > 5, "a pause of some seconds is no silence"
            proxy.heal()
            await until(lambda: backend.health().ready, "the connection to be back", within=10)
            assert await backend.complete(claim, succeeded(claim)) is Settled.DONE


@story
async def test_a_short_silence_is_nothing(server: ServerProcess) -> None:
    async with opened(server.url, "short") as backend:
        wire = backend.link.wire
        server.pause()
        storing = asyncio.create_task(backend.enqueue([job("short")]))
        await asyncio.sleep(3)
        server.resume()
        await storing
        assert backend.link.wire is wire


@story
async def test_a_handler_that_raises_does_not_make_us_deaf(
    shared: ServerProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(shared.url, "deaf") as backend, operator(shared.url) as admin:
        heard: list[bytes] = []

        def handler(_subject: bytes, _reply: bytes, payload: bytes, _header: bytes) -> None:
            heard.append(payload)
            raise RuntimeError("a bug")

        backend.link.listen("test.deaf", handler)
        await backend.link.flush()
        for payload in (b"1", b"2"):
            await admin.client.publish("test.deaf", payload)
        await until(lambda: heard == [b"1", b"2"], "both messages")
        assert backend.health().ready
        await backend.enqueue([job("deaf")])
    assert "a handler for" in caplog.text
    assert "a bug" in caplog.text


FRAMES = [
    b"MSG a b c d e\r\n",
    b"MSG x\r\n",
    b"MSG _INBOX.x 1000001 -5\r\n",
    b"HMSG _INBOX.x 1000001 50 10\r\n0123456789\r\n",
    b"WHAT is this\r\n",
    b"\xff\xfe\x00\r\n",
    b"INFO {not json\r\n",
]


@pytest.mark.parametrize("frame", FRAMES, ids=[repr(frame)[2:12] for frame in FRAMES])
def test_a_bad_frame_does_not_make_us_deaf(shared: ServerProcess, frame: bytes) -> None:
    """Trap 8: any other error ends nats-py's read loop, and the connection looks alive."""

    async def body() -> None:
        async with opened(shared.url, "frame") as backend:
            wire = backend.link.wire
            assert wire is not None
            wire.data_received(frame)
            await until(lambda: backend.link.wire not in {wire, None}, "a new connection", within=5)
            assert backend.health().ready
            await backend.enqueue([job("frame")])

    asyncio.run(body())


@story
async def test_spoilt_bytes_do_not_make_us_deaf(server: ServerProcess) -> None:
    """Fault 59."""
    with FaultProxy(server.url) as proxy:
        async with opened(proxy.url, "spoilt") as backend:
            for _ in range(5):
                wire = backend.link.wire
                proxy.corrupt(DOWN)
                await backend.enqueue([job("spoilt")], timeout=15)
                await until(lambda old=wire: backend.link.wire not in {old, None}, "a new connection", within=15)
                proxy.heal()
            await until(lambda: backend.health().ready, "readiness")


@story
async def test_who_listens_goes_on_listening_on_the_next_connection(server: ServerProcess) -> None:
    async with opened(server.url) as backend:
        heard: list[bytes] = []
        backend.link.listen("test.again", lambda _s, _r, payload, _h: heard.append(payload))
        gone = backend.link.listen("test.again", lambda _s, _r, _p, _h: heard.append(b"gone"))
        backend.link.unlisten(gone)
        wire = backend.link.wire
        server.restart(kill=True)
        await until(lambda: backend.link.wire not in {wire, None}, "the connection to be back")
        async with operator(server.url) as admin:
            await admin.client.publish("test.again", b"x")
            await until(lambda: heard == [b"x"], "the message")


@pytest.mark.parametrize("fate", ["frozen", "stalled", "killed", "refused"])
def test_closing_during_an_outage_is_quick(server: ServerProcess, fate: str) -> None:
    """Trap 14: with much that nobody takes still to be written."""

    async def body() -> None:
        with FaultProxy(server.url) as proxy:
            async with opened(proxy.url, "closing") as backend:
                fetching = asyncio.create_task(backend.fetch(["closing"], limit=5, lease=30, wait=60))
                await asyncio.sleep(0)
                if fate == "frozen":
                    server.pause()
                elif fate == "stalled":
                    proxy.stall()
                else:
                    server.kill()
                if fate == "refused":
                    await until(lambda: not backend.link.is_up, "the loss to be noticed")
                big = [job("closing", payload=b"x" * 500_000) for _ in range(40)]
                storing = asyncio.create_task(backend.enqueue(big, timeout=60))
                await asyncio.sleep(0.1)
                begin = time.monotonic()
                await backend.close()
                assert time.monotonic() - begin < 5
                assert await asyncio.wait_for(fetching, 1) == []
                with pytest.raises(NaqConnectionError):
                    await asyncio.wait_for(storing, 3)

    asyncio.run(body())


@story
async def test_an_outage_does_not_pile_up_memory(server: ServerProcess) -> None:
    """What a frozen peer does not take is not sent again and again."""
    async with opened(server.url, "pile") as backend:
        server.pause()
        big = [job("pile", payload=b"x" * 200_000) for _ in range(30)]
        storing = asyncio.create_task(backend.enqueue(big, timeout=5))
        wire = backend.link.wire
        assert wire is not None
        most = 0
        while not storing.done():
            most = max(most, wire.unsent)
            await asyncio.sleep(0.05)
        with pytest.raises(NaqConnectionError):
            await storing
        assert most < 3 * 30 * 200_000


def test_a_server_that_is_too_old_is_refused() -> None:
    """The floor is checked on a real old server (Debian's 2.9): CI installs it (.ci/run)."""

    async def body() -> None:
        backend = NatsBackend(Config(broker_url=OLD, connect_timeout=5.0))
        try:
            with pytest.raises(BrokerTooOld, match=r"2\.14\.2") as caught:
                await backend.open()
            assert "Update it" in str(caught.value)
            assert not backend.health().ready
            with pytest.raises(BrokerTooOld):  # looked at anew, not remembered
                await backend.open()
        except NaqConnectionError as error:
            pytest.skip(f"missing: no old NATS server at {OLD} ({error})")
        finally:
            await backend.close()

    asyncio.run(body())


@story
async def test_a_server_without_jetstream_is_refused(tmp_path: Path) -> None:
    with server_with(tmp_path, "") as url:
        backend = NatsBackend(Config(broker_url=url))
        with pytest.raises(BrokerTooOld, match="without JetStream"):
            await backend.open()
        await backend.close()


@story
async def test_a_server_that_was_mended_is_taken(tmp_path: Path) -> None:
    """What was wrong the last time is looked at again."""
    [port] = free_ports(1)
    (tmp_path / "a").mkdir()
    with server_with(tmp_path / "a", "", port=port) as url:
        backend = NatsBackend(Config(broker_url=url))
        with pytest.raises(BrokerTooOld):
            await backend.open()
    with bundled_server(tmp_path / "b", port=port):
        await backend.open()
        assert backend.health().ready
        await backend.close()


@story
async def test_nobody_there_is_said_at_once_with_the_reason(caplog: pytest.LogCaptureFixture) -> None:
    """A worker that waits for its broker says so, and why; a secret in the URL is shown to nobody."""
    caplog.set_level(logging.DEBUG)
    [port] = free_ports(1)
    backend = NatsBackend(Config(broker_url=f"nats://me:s3cret@127.0.0.1:{port}"))
    begin = time.monotonic()
    with pytest.raises(NaqConnectionError, match="Connect call failed") as caught:
        await backend.open(wait=0.5)
    assert 0.4 < time.monotonic() - begin < 3
    assert "trying on" in caplog.text
    assert not backend.health().ready
    assert "s3cret" not in str(caught.value) + caplog.text + backend.health().detail
    await backend.close()


@story
async def test_a_wrong_password_is_said(tmp_path: Path) -> None:
    with bundled_server(tmp_path, user="me", password="right") as server:
        backend = NatsBackend(Config(broker_url=server.url, user="me", password="wrong"))
        with pytest.raises(NaqConnectionError, match=r"(?i)authorization"):
            await backend.open(wait=1)
        await backend.close()
        async with opened(server.url, user="me", password="right") as good:
            assert good.health().ready


@story
async def test_several_servers_one_of_which_is_there(server: ServerProcess) -> None:
    [nobody] = free_ports(1)
    for url in (f"nats://127.0.0.1:{nobody},{server.url}", f"{server.url},nats://127.0.0.1:{nobody}"):
        async with opened(url, connect_timeout=5.0) as backend:
            assert backend.health().ready


@pytest.mark.cluster
@story
async def test_servers_that_the_cluster_named_are_there_when_ours_is_gone(tmp_path: Path) -> None:
    """One of three was configured, and logs in by its URL: so do we at the others."""
    with cluster(directory=tmp_path, user="me", password="right") as nodes:
        ours = nodes.servers[0]
        url = ours.url.replace("nats://", "nats://me:right@")
        async with opened(url, "named", durability="replicated", connect_timeout=PATIENCE) as backend:
            wire = backend.link.wire
            ours.kill()
            await until(lambda: backend.link.wire not in {wire, None}, "another server")
            await backend.enqueue([job("named")], timeout=PATIENCE)


@pytest.mark.parametrize(("lease", "every"), [(30.0, 2.0), (600.0, link.PROBE), (1.5, 0.1)])
@story
async def test_how_often_it_asks_depends_on_what_must_be_known(
    server: ServerProcess, lease: float, every: float
) -> None:
    """Each question wakes both sides. Only who claims jobs needs to know well when the broker sent something."""
    async with opened(server.url, "idle", lease=lease) as backend:
        assert backend.link.probe_every == link.PROBE
        await backend.fetch(["idle"], limit=1, lease=lease, wait=0.01)
        assert backend.link.probe_every == every
        before = backend.link.fenced_at
        await until(lambda: backend.link.fenced_at > before, "the answer to a probe", within=10)


@story
async def test_an_idle_connection_looks_up_only_when_it_is_probed(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link, "PROBE", 60.0)
    async with opened(server.url, "rest", lease=900.0) as backend:
        ticks = 0

        def tick() -> None:
            nonlocal ticks
            ticks += 1

        backend.link.on_tick.append(tick)
        waiting = asyncio.create_task(backend.fetch(["rest"], limit=1, lease=900.0, wait=60.0))
        await until(lambda: ticks, "the first look")
        begun, before = time.monotonic(), ticks
        await until(lambda: time.monotonic() > begun + 3 * link.TICK, "some time to pass")
        assert ticks - before <= 1, "while a fetch waits there is nothing to look after"
        await backend.enqueue([job("rest")])
        assert len(await waiting) == 1
        before = ticks
        await until(lambda: ticks > before + 1, "looks after what stands there and is not asked for any more")
        for lane in backend.puller.lanes["rest"]:
            assert not lane.outstanding, "others are to have it"
        server.kill()
        await until(lambda: not backend.link.is_up, "the end to be noticed, long before the next look")


def test_closing_while_it_dials_leaves_no_socket() -> None:
    """A broker that greets and then says nothing, as one that is overloaded does."""

    async def scenario() -> None:
        dialling, ended = asyncio.Event(), asyncio.Event()

        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b'INFO {"version":"2.15.1","jetstream":true,"max_payload":1048576}\r\n')
            while await reader.read(4096):
                dialling.set()
            ended.set()
            writer.close()

        async with await asyncio.start_server(greet, "127.0.0.1", 0) as silent:
            url = f"nats://127.0.0.1:{silent.sockets[0].getsockname()[1]}"
            dialled = link.Link(Config(broker_url=url), url, name="dial")
            opening = asyncio.create_task(dialled.open(10))
            await asyncio.wait_for(dialling.wait(), 5)
            opening.cancel()
            await dialled.close()
            await asyncio.wait_for(ended.wait(), 5)

    asyncio.run(scenario())
