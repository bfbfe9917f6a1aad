"""One server for a folder: shared by processes, there as long as one of them lives, gone with the last."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest
from broker_tools import User, count, is_gone, processes_of, put, state_of, users, wait_until

from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.embedded import EmbeddedBroker, ensure_broker
from naq.backends.nats.broker.embedded import supervisor as supervisor_script
from naq.exceptions import ConfigurationError, NaqConnectionError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock: ensure_broker refuses there")


def pids(folder: Path) -> tuple[int, int]:
    """Supervisor and server."""
    state = state_of(folder)
    return state["supervisor_pid"], state["server_pid"]


def end(broker: EmbeddedBroker, folder: Path) -> None:
    broker.close()
    wait_until(lambda: not processes_of(folder), "the server to end with its last user")


def test_a_server_starts_with_its_first_user_and_ends_with_the_last(tmp_path: Path) -> None:
    broker = ensure_broker(tmp_path)
    assert broker.url.startswith("nats://127.0.0.1:")
    assert tuple(map(int, broker.version.split("."))) >= (2, 14, 2)
    assert put(broker.url) == 1
    second = ensure_broker(tmp_path)
    assert second.url == broker.url
    broker.close()
    broker.close()
    assert put(second.url) == 2
    end(second, tmp_path)


def test_the_next_user_finds_port_and_messages_again(tmp_path: Path) -> None:
    with ensure_broker(tmp_path) as broker:
        url = broker.url
        put(url)
    with ensure_broker(tmp_path) as broker:  # at once: the last server may still be stopping
        assert broker.url == url
        assert count(url) == 1
    wait_until(lambda: not processes_of(tmp_path), "the server to end with its last user")


def test_two_processes_share_one_server(tmp_path: Path) -> None:
    with users(tmp_path, 2) as (one, two):
        assert one.said()["url"] == two.said()["url"]
        assert len(processes_of(tmp_path)) == 2  # a supervisor and a server


def test_a_killed_user_leaves_the_server_to_the_others_and_the_last_takes_it_along(tmp_path: Path) -> None:
    with users(tmp_path, 2) as (one, two):
        url = one.said()["url"]
        two.said()
        one.kill()
        assert put(url) == 1
        supervisor, server = pids(tmp_path)
        two.kill()
        wait_until(lambda: is_gone(supervisor) and is_gone(server), "both processes to end", timeout=5)


def test_ctrl_c_in_a_users_terminal_does_not_reach_the_server(tmp_path: Path) -> None:
    with users(tmp_path, 2) as (one, two):
        url = one.said()["url"]
        two.said()
        before = pids(tmp_path)
        one.interrupt()
        assert put(url) == 1
        assert pids(tmp_path) == before


def test_ten_processes_that_race_to_start_get_one_server(tmp_path: Path) -> None:
    with users(tmp_path, 10) as racers:
        assert len({user.said()["url"] for user in racers}) == 1
        assert len(processes_of(tmp_path)) == 2
        assert (tmp_path / "nats" / "supervisor.log").read_text().count("started") == 1


def test_users_that_come_and_go_never_find_a_server_that_is_stopping(tmp_path: Path) -> None:
    # Two of three users are always about to leave while another comes: the race of the last with the next.
    failed: list[BaseException] = []

    def come_and_go() -> None:
        try:
            for _ in range(8):
                with ensure_broker(tmp_path) as broker, socket.create_connection(_address(broker.url), timeout=5):
                    pass
        except BaseException as error:  # noqa: BLE001 - of a thread: shown below
            failed.append(error)

    threads = [threading.Thread(target=come_and_go) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    wait_until(lambda: not processes_of(tmp_path), "the last server to end")


def test_a_killed_server_is_back_on_its_port_with_its_messages(tmp_path: Path) -> None:
    broker = ensure_broker(tmp_path)
    put(broker.url)
    supervisor, server = pids(tmp_path)
    os.kill(server, signal.SIGKILL)
    wait_until(lambda: state_of(tmp_path)["server_pid"] != server and state_of(tmp_path)["ready"], "another server")
    assert pids(tmp_path)[0] == supervisor
    assert state_of(tmp_path)["url"] == broker.url
    assert count(broker.url) == 1
    assert broker.monitor_url == state_of(tmp_path)["monitor_url"]
    end(broker, tmp_path)


def test_a_killed_supervisor_takes_its_server_along_and_is_replaced_by_those_who_stay(tmp_path: Path) -> None:
    broker = ensure_broker(tmp_path)
    other = ensure_broker(tmp_path)
    put(broker.url)
    supervisor, server = pids(tmp_path)
    os.kill(supervisor, signal.SIGKILL)
    wait_until(lambda: is_gone(server), "the server to die with its supervisor")
    wait_until(lambda: state_of(tmp_path).get("url") and pids(tmp_path)[0] != supervisor, "another supervisor")
    assert state_of(tmp_path)["url"] == broker.url
    assert count(broker.url) == 1
    assert len(processes_of(tmp_path)) == 2
    broker.close()
    assert count(other.url) == 1
    end(other, tmp_path)


def test_a_new_user_after_supervisor_and_users_were_killed_starts_anew(tmp_path: Path) -> None:
    with users(tmp_path, 1) as (user,):
        url = user.said()["url"]
        put(url)
        supervisor, _ = pids(tmp_path)
        user.process.send_signal(signal.SIGSTOP)  # so that its guard does not act first
        wait_until(lambda: psutil.Process(user.process.pid).status() == psutil.STATUS_STOPPED, "the stop")
        os.kill(supervisor, signal.SIGKILL)
        with ensure_broker(tmp_path) as broker:
            assert broker.url == url
            assert count(url) == 1


def test_a_stale_or_broken_state_file_is_ignored(tmp_path: Path) -> None:
    home = tmp_path / "nats"
    home.mkdir()
    stale = {"format": 1, "ready": True, "url": "nats://127.0.0.1:1", "durability": "standard", "server_pid": 1}
    for content in (json.dumps(stale), "{", "[]", '{"format": 99, "url": "nats://127.0.0.1:1"}'):
        (home / "state.json").write_text(content)
        with ensure_broker(tmp_path) as broker:
            assert put(broker.url) >= 1
        wait_until(lambda: not processes_of(tmp_path), "the server to end")


def test_a_port_that_somebody_took_meanwhile_is_replaced(tmp_path: Path) -> None:
    with ensure_broker(tmp_path) as broker:
        port = int(broker.url.rpartition(":")[2])
    wait_until(lambda: not processes_of(tmp_path), "the server to end")
    with socket.create_server(("127.0.0.1", port)), ensure_broker(tmp_path) as broker:
        assert not broker.url.endswith(f":{port}")
        put(broker.url)
    wait_until(lambda: not processes_of(tmp_path), "the server to end")


def test_a_server_without_a_supervisor_is_ended_before_another_uses_its_store(tmp_path: Path) -> None:
    # What a killed supervisor leaves where there is no parent-death signal.
    with ensure_broker(tmp_path):
        pass
    wait_until(lambda: not processes_of(tmp_path), "the server to end")
    home = tmp_path / "nats"
    fd = os.open(home / "server.lock", os.O_RDWR)
    fcntl.flock(fd, fcntl.LOCK_EX)
    orphan = subprocess.Popen(
        [find_binary().path, "-c", home / "nats.conf"],
        pass_fds=(fd,),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(fd)
    supervisor_script.write_state(home, {"ready": True, "durability": "standard", "port": 0, "server_pid": orphan.pid})
    try:
        with ensure_broker(tmp_path) as broker:
            assert orphan.wait(timeout=5) == -signal.SIGKILL
            put(broker.url)
    finally:
        orphan.kill()
        orphan.wait()
    wait_until(lambda: not processes_of(tmp_path), "the server to end")


def test_a_store_that_an_unknown_server_holds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    with (tmp_path / "nats" / "server.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NaqConnectionError, match="another nats-server still uses this folder"):
            ensure_broker(tmp_path)
    wait_until(lambda: not processes_of(tmp_path), "nothing to be left")


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("naq.backends.nats.broker.embedded.start.render", lambda _config: "no configuration {")  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    with pytest.raises(NaqConnectionError, match=r"did not start: nats-server ended with code 1: .*Parse error"):
        ensure_broker(tmp_path)
    wait_until(lambda: not processes_of(tmp_path), "nothing to be left")


def test_a_broker_that_is_not_ready_in_time_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "nats").mkdir()
    with (tmp_path / "nats" / "start.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(NaqConnectionError, match="another process that starts the server"):
            ensure_broker(tmp_path, timeout=0.2)


def test_strict_is_not_given_to_whom_joins_a_weaker_server(tmp_path: Path) -> None:
    with ensure_broker(tmp_path):
        with pytest.raises(ConfigurationError, match=r"'standard', which is weaker than 'strict'"):
            ensure_broker(tmp_path, durability="strict")
        assert len(processes_of(tmp_path)) == 2
    # At once: the weaker server may not have noticed yet that nobody uses it.
    with ensure_broker(tmp_path, durability="strict") as strict, ensure_broker(tmp_path) as standard:
        assert strict.url == standard.url
        assert state_of(tmp_path)["durability"] == "strict"
    wait_until(lambda: not processes_of(tmp_path), "the server to end")


def test_a_strict_server_stays_strict_when_a_standard_user_replaces_its_supervisor(tmp_path: Path) -> None:
    with users(tmp_path, 1, durability="strict") as (user,):
        user.said()
        user.process.send_signal(signal.SIGSTOP)
        os.kill(pids(tmp_path)[0], signal.SIGKILL)
        with ensure_broker(tmp_path):
            assert state_of(tmp_path)["durability"] == "strict"


@pytest.mark.parametrize("durability", ["replicated", "replicated-strict"])
def test_replication_is_refused_by_one_server(durability: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="needs 3 servers"):
        ensure_broker(tmp_path, durability=durability)


def test_windows_is_told_what_to_do_instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigurationError, match=r"Windows.*set broker_url"):
        ensure_broker(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match=r"cannot be used \(.*name one that can be written"):
        ensure_broker(tmp_path / "file")


def test_a_new_folder_keeps_itself_out_of_git(tmp_path: Path) -> None:
    with ensure_broker(tmp_path / "a" / ".naq"):
        assert (tmp_path / "a" / ".naq" / ".gitignore").read_text() == "*\n"
    wait_until(lambda: not processes_of(tmp_path / "a" / ".naq"), "the server to end")


def test_a_folder_removed_and_begun_anew_is_not_spoilt_by_the_old_supervisor(tmp_path: Path) -> None:
    old = ensure_broker(tmp_path)
    (tmp_path / "nats").rename(tmp_path / "gone")
    new = ensure_broker(tmp_path)
    assert new.url != old.url
    supervisor = json.loads((tmp_path / "gone" / "state.json").read_bytes())["supervisor_pid"]
    old.close()
    wait_until(lambda: is_gone(supervisor), "the first supervisor to end")
    assert state_of(tmp_path)["url"] == new.url
    put(new.url)
    end(new, tmp_path)


def test_a_forked_child_shares_the_share(tmp_path: Path) -> None:
    broker = ensure_broker(tmp_path)
    script = (
        "import os, sys; from pathlib import Path\n"
        "from naq.backends.nats.broker.embedded import ensure_broker\n"
        "broker = ensure_broker(Path(sys.argv[1]))\n"
        "child = os.fork()\n"
        "if child == 0:\n    sys.stdin.read(); broker.close(); os._exit(0)\n"
        "print(child, flush=True); os._exit(0)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert parent.stdout is not None
    assert parent.stdin is not None
    assert int(parent.stdout.readline())
    parent.wait(timeout=10)
    broker.close()
    assert put(broker.url) == 1  # only the forked child holds it now
    parent.stdin.close()
    parent.stdout.close()
    wait_until(lambda: not processes_of(tmp_path), "the server to end with the child")


def test_closing_leaves_no_thread_and_no_open_file(tmp_path: Path) -> None:
    def open_files() -> int:
        return len(list(Path("/dev/fd").iterdir()))

    with ensure_broker(tmp_path):
        files, threads = open_files(), threading.active_count()
        for _ in range(5):
            ensure_broker(tmp_path).close()
        assert (open_files(), threading.active_count()) == (files, threads)
    wait_until(lambda: not processes_of(tmp_path), "the server to end")


def test_a_starter_killed_half_way_does_not_leave_a_server_that_nobody_uses(tmp_path: Path) -> None:
    user = User(tmp_path)
    wait_until((tmp_path / "nats" / "alive").exists, "its supervisor to begin")
    user.kill()
    wait_until(lambda: not processes_of(tmp_path), "nothing to be left")
    with ensure_broker(tmp_path) as broker:
        put(broker.url)
    wait_until(lambda: not processes_of(tmp_path), "the server to end")


def _address(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("nats://").partition(":")
    return host, int(port)
