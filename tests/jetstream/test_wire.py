"""The protocol, byte by byte: however a server's words are cut into packets, they mean the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from jetstream_tools import story

from naq.backends.nats.client import dial
from naq.backends.nats.client.address import Address, read_addresses, read_discovered
from naq.backends.nats.client.wire import Wire
from naq.config import Config
from naq.exceptions import ConfigurationError, NaqConnectionError

INFO = b'INFO {"version":"2.15.1","jetstream":true}\r\n'
HEADER = b"NATS/1.0\r\nA: b\r\n\r\n"
SAID = (
    INFO
    + b"MSG a 1 3\r\nxyz\r\n"
    + b"PING\r\n"
    + b"HMSG a.b 1 _INBOX.r %d %d\r\n%bMSG\r\n\r\n" % (len(HEADER), len(HEADER) + 5, HEADER)
    + b"PONG\r\n"
    + b"MSG a 7 2\r\nno\r\n"  # nobody listens there (any more)
    + b"+OK\r\n"
    + b"-ERR 'Permissions Violation for Publish to \"x\"'\r\n"
    + b"MSG a 1 _INBOX.s 0\r\n\r\n"
    + b'INFO {"ldm":true}\r\n'
    + b"MSG c 1 1\r\n!\r\n"
)
HEARD = [
    (b"a", b"", b"xyz", b""),
    (b"a.b", b"_INBOX.r", b"MSG\r\n", HEADER),
    (b"a", b"_INBOX.s", b"", b""),
    (b"c", b"", b"!", b""),
]


def hear(packets: list[bytes]) -> tuple[Wire, list[tuple[bytes, ...]]]:
    """What a wire hands on of `packets`, and the wire."""

    async def body() -> tuple[Wire, list[tuple[bytes, ...]]]:
        wire, heard = Wire(), list[tuple[bytes, ...]]()
        wire.listen("a.>", lambda subject, reply, payload, header: heard.append((subject, reply, payload, header)))
        wire.probe()
        for packet in packets:
            wire.data_received(packet)
        return wire, heard

    return asyncio.run(body())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 16, 50, len(SAID)])
def test_however_it_is_cut(size: int) -> None:
    wire, heard = hear([SAID[at : at + size] for at in range(0, len(SAID), size)])
    assert heard == HEARD
    assert wire.info == {"version": "2.15.1", "jetstream": True, "ldm": True}
    assert wire.said.startswith("Permissions Violation")


@pytest.mark.parametrize("at", range(0, len(SAID), 5))
def test_wherever_it_is_cut_in_two(at: int) -> None:
    _, heard = hear([SAID[:at], SAID[at:]])
    assert heard == HEARD


def test_what_follows_a_pong_was_sent_after_its_ping() -> None:
    async def body() -> None:
        wire = Wire()
        before = wire.fenced_at
        wire.probe()
        wire.probe()  # does nothing: the last was not answered
        assert wire.fenced_at == before
        wire.data_received(b"PONG\r\n")
        assert wire.fenced_at >= before
        first = wire.fenced_at
        wire.data_received(b"PONG\r\n")  # one that nobody asked for
        assert wire.fenced_at == first

    asyncio.run(body())


@pytest.mark.parametrize(
    "answer",
    [b"", b"-ERR 'Authorization Violation'\r\n", b"PONG", b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["nothing", "an error", "half a word", "another protocol"],
)
@story
async def test_a_server_that_breaks_off_is_refused_with_its_word(answer: bytes) -> None:
    async with serving(lambda writer: writer.write(answer)) as address:
        with pytest.raises(NaqConnectionError) as caught:
            await dial.dial(Config(), address, "me")
    word = {b"-": "Authorization Violation", b"H": "no NATS"}.get(answer[:1], "closed the connection")
    assert word in str(caught.value)


class serving:
    """A server that greets, waits for our introduction, lets `act` answer it, and hangs up; its address."""

    def __init__(self, act: Callable[[asyncio.StreamWriter], None]) -> None:
        self._act = act

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(INFO)
        introduced = await reader.readuntil(b"PING\r\n")
        assert json.loads(introduced.split(b"\r\n")[0].removeprefix(b"CONNECT "))["name"] == "me"
        self._act(writer)
        writer.close()
        await writer.wait_closed()

    async def __aenter__(self) -> Address:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()
        return Address(host=host, port=port, tls=False, user="", password="", certified=host)

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await self._server.wait_closed()


def test_addresses() -> None:
    first, second = read_addresses("tls://ada:p%40ss@nats.example.com, nats://[::1]:5000")
    assert first == Address(
        host="nats.example.com", port=4222, tls=True, user="ada", password="p@ss", certified="nats.example.com"
    )
    assert (second.host, second.port, second.tls) == ("::1", 5000, False)


@pytest.mark.parametrize("url", ["nats://", "nats://host:port", "nats://me:s3cret@host:99999"])
def test_what_is_no_address_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ConfigurationError, match="is no address") as caught:
        read_addresses(url)
    assert "s3cret" not in str(caught.value)


def test_servers_that_another_one_named() -> None:
    """They take the same login; a number is held to the name by which the cluster was found."""
    [known] = read_addresses("tls://ada:secret@nats.example.com:4222")
    told = read_discovered({"connect_urls": ["10.0.0.7:4333", "b.example.com:4222", "[fd00::1]:4222"]}, known)
    assert [(each.host, each.port, each.certified) for each in told] == [
        ("10.0.0.7", 4333, "nats.example.com"),
        ("b.example.com", 4222, "b.example.com"),
        ("fd00::1", 4222, "nats.example.com"),
    ]
    assert all(each.tls and each.password == "secret" for each in told)
    assert read_discovered({}, known) == []
