"""The fault proxy: each fault does to a connection what it says, and `heal` ends it."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager

import pytest
from broker_tools import put, wait_until

from naq.backends.nats.broker.ports import free_ports
from naq.testing.broker import bundled_server
from naq.testing.proxy import DOWN, UP, FaultProxy

SILENCE = 0.2  # seconds without a byte that count as nothing coming


class Echo:
    """A server that sends back what it gets, and end-of-file for end-of-file."""

    def __init__(self) -> None:
        self.received = b""
        self.ended: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # only Linux lets a listening socket be shut down, which ends `accept`
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                while data := connection.recv(65536):
                    self.received += data
                    connection.sendall(data)
            except OSError:
                self.ended.append("reset")
            else:
                self.ended.append("end of file")


@contextmanager
def through_proxy() -> Generator[tuple[FaultProxy, socket.socket, Echo]]:
    echo = Echo()
    try:
        with FaultProxy(echo.address) as proxy, connect(proxy) as client:
            assert ask(client, b"hello") == b"hello"
            yield proxy, client, echo
    finally:
        echo.close()


def connect(proxy: FaultProxy) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=5)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def ask(client: socket.socket, data: bytes) -> bytes:
    """Send, and receive as many bytes again (fewer where the connection ends)."""
    client.sendall(data)
    return receive(client, len(data))


def receive(client: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size and (chunk := client.recv(size - len(received))):
        received += chunk
    return received


def is_silent(client: socket.socket) -> bool:
    """Nothing comes: neither bytes nor an end."""
    client.settimeout(SILENCE)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    else:
        return False
    finally:
        client.settimeout(5)


def test_it_passes_everything_both_ways() -> None:
    with through_proxy() as (proxy, client, _):
        data = bytes(range(256)) * 20_000
        sender = threading.Thread(target=client.sendall, args=(data,))
        sender.start()
        assert receive(client, len(data)) == data
        sender.join()
        wait_until(lambda: proxy.passed(UP) == proxy.passed(DOWN) == len(data) + 5, "every byte to be counted")
        assert (proxy.accepted, proxy.connections) == (1, 1)


@pytest.mark.parametrize("directions", [(), (UP,), (DOWN,)])
def test_stall_holds_bytes_back_until_heal(directions: tuple[str, ...]) -> None:
    with through_proxy() as (proxy, client, _):
        proxy.stall(*directions)
        client.sendall(b"later")
        assert is_silent(client)
        proxy.heal()
        assert receive(client, 5) == b"later"


def test_a_stalled_reader_blocks_who_sends() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.stall(UP)
        client.settimeout(SILENCE)
        with pytest.raises(TimeoutError):
            client.sendall(bytes(64 * 1024 * 1024))


def test_drop_swallows_one_direction() -> None:
    with through_proxy() as (proxy, client, echo):
        proxy.drop(DOWN)
        client.sendall(b"gone")
        wait_until(lambda: echo.received.endswith(b"gone"), "the server to receive")
        assert is_silent(client)
        proxy.heal()
        assert ask(client, b"back") == b"back"


def test_delay_adds_latency_and_keeps_order() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.delay(0.1)
        begin = time.monotonic()
        assert ask(client, b"one") == b"one"
        assert time.monotonic() - begin >= 0.2
        for number in range(50):
            client.sendall(b"%03d" % number)
        begin = time.monotonic()
        assert receive(client, 150) == b"".join(b"%03d" % number for number in range(50))
        assert time.monotonic() - begin < 2  # latency, not a queue: 50 pieces do not take 50 delays


def test_trickle_limits_the_rate() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.trickle(100, DOWN)
        begin = time.monotonic()
        assert ask(client, b"x" * 30) == b"x" * 30
        assert time.monotonic() - begin >= 0.2


def test_corrupt_spoils_the_next_chunk_only() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.corrupt(DOWN)
        assert ask(client, b"\x0fabc") == b"\xf0abc"
        assert ask(client, b"\x0fabc") == b"\x0fabc"


def test_cut_after_lets_so_many_bytes_through_and_resets() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.cut_after(3, DOWN)
        client.sendall(b"abcdef")
        assert receive(client, 3) == b"abc"
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with connect(proxy) as again:
            assert ask(again, b"whole again") == b"whole again"


def test_reset_is_a_reset_at_both_ends() -> None:
    with through_proxy() as (proxy, client, echo):
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        wait_until(lambda: echo.ended == ["reset"], "the server to be told")
        with connect(proxy) as again:
            assert ask(again, b"again") == b"again"


def test_reset_works_on_a_stalled_connection() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.stall()
        proxy.reset()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        wait_until(lambda: proxy.connections == 0, "the connection to be forgotten")


def test_refuse_resets_new_connections_too_until_heal() -> None:
    with through_proxy() as (proxy, client, _):
        proxy.refuse()
        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionResetError), connect(proxy) as refused:
            ask(refused, b"x")
        proxy.heal()
        with connect(proxy) as again:
            assert ask(again, b"again") == b"again"


def test_half_close_ends_one_direction_and_the_other_goes_on() -> None:
    with through_proxy() as (proxy, client, echo):
        proxy.half_close(DOWN)
        assert client.recv(1) == b""
        client.sendall(b"still heard")
        wait_until(lambda: echo.received.endswith(b"still heard"), "the server to receive")


def test_an_end_of_file_of_the_client_reaches_the_server() -> None:
    with through_proxy() as (_, client, echo):
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: echo.ended == ["end of file"], "the server to see the end")
        assert client.recv(1) == b""


def test_abandon_server_tells_the_client_nothing() -> None:
    with through_proxy() as (proxy, client, echo):
        proxy.abandon_server()
        wait_until(lambda: echo.ended == ["reset"], "the server to be cut off")
        client.sendall(b"anybody there?")
        assert is_silent(client)
        proxy.heal()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_a_connection_to_a_dead_server_is_reset() -> None:
    nobody = f"127.0.0.1:{free_ports(1)[0]}"
    with FaultProxy(nobody) as proxy, pytest.raises(ConnectionResetError), connect(proxy) as client:
        ask(client, b"x")


def test_a_target_without_a_port_is_refused() -> None:
    with pytest.raises(ValueError, match="names no host and port"):
        FaultProxy("localhost")


def test_a_nats_client_works_through_it_and_over_restarts_of_the_server() -> None:
    with bundled_server() as server, FaultProxy(server.url) as proxy:
        assert put(proxy.url) == 1
        server.restart(kill=True)
        assert put(proxy.url) == 2
