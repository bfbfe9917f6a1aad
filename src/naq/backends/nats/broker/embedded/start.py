"""Have a supervisor started, and learn whether its server is ready."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from naq.backends.nats.broker import launch
from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.config import ServerConfig, render
from naq.backends.nats.broker.durability import get_mode, show_version
from naq.backends.nats.broker.embedded import supervisor
from naq.backends.nats.broker.ports import free_ports
from naq.backends.nats.broker.process import disk_limit
from naq.chance import CHANCE
from naq.exceptions import NaqConnectionError

_PORTS: Final = 8  # candidates handed to the supervisor, should the first be taken meanwhile
_LOG_LIMIT: Final = 10 * 1024 * 1024  # bytes; a longer log is put aside when the server starts


def start(home: Path, durability: str, start_fd: int, deadline: float) -> None:
    """Have a supervisor started, which inherits the start lock, and return when its server is ready.

    Args:
        home: the folder of the server's files.
        durability: asked for; a stronger one that was in force before a crash stays.
        start_fd: holds the start lock.
        deadline: on the monotonic clock.

    Raises:
        NaqConnectionError: it did not start, or was not ready in time.
        ConfigurationError: there is no nats-server to start.
    """
    last = supervisor.read_state(home)
    if last.get("ready") and sync_interval(last["durability"]) < sync_interval(durability):
        durability = last["durability"]  # it did not end in order: users who asked for more may still be there
    binary = find_binary()
    store = home / "jetstream"
    store.mkdir(exist_ok=True)
    config = ServerConfig(
        server_name=f"naq-embedded-{CHANCE.getrandbits(32):08x}",
        store_dir=store,
        max_file_store=disk_limit(store),
        durability=durability,
        ports_file_dir=home / supervisor.PORTS_DIR,
    )
    (home / supervisor.CONFIG_FILE).write_text(render(config), encoding="utf-8")
    _put_aside(home / supervisor.LOG_FILE)
    read_fd, write_fd = os.pipe()
    order = {
        "home": str(home),
        "program": launch.command([str(binary.path)], parent=supervisor.PARENT),
        "facts": {"durability": durability, "server_version": show_version(binary.version), "started_at": time.time()},
        "ports": free_ports(_PORTS),
        "ready_fd": write_fd,
        "start_fd": start_fd,
    }
    try:
        with (home / "supervisor.log").open("ab") as log:
            subprocess.run(  # noqa: S603 - this Python, our own script
                [sys.executable, "-I", "-S", supervisor.__file__, str(home)],
                input=json.dumps(order).encode(), stdout=log, stderr=log, pass_fds=(write_fd, start_fd),
                cwd="/", check=True,
            )  # fmt: skip
        os.close(write_fd)
        write_fd = -1
        said = _read_answer(read_fd, deadline, home)
    except subprocess.CalledProcessError as error:
        raise NaqConnectionError(f"the embedded broker did not start, see {home / 'supervisor.log'}") from error
    finally:
        os.close(read_fd)
        if write_fd >= 0:
            os.close(write_fd)
    if not said.get("ready"):
        why = said.get("error") or f"its supervisor ended, see {home / 'supervisor.log'}"
        raise NaqConnectionError(f"the embedded broker in {home} did not start: {why}")


def _read_answer(fd: int, deadline: float, home: Path) -> dict[str, Any]:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    received = b""
    while poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        if not (chunk := os.read(fd, 65536)):
            return json.loads(received) if received else {}
        received += chunk
    raise NaqConnectionError(f"the embedded broker in {home} was not ready in time: see {home / supervisor.LOG_FILE}")


def sync_interval(durability: str) -> float:
    """Seconds between fsyncs in the mode called `durability`: the lower, the stronger."""
    return get_mode(durability).sync_interval


def _put_aside(log: Path) -> None:
    if log.exists() and log.stat().st_size > _LOG_LIMIT:
        log.replace(log.with_suffix(".log.1"))
