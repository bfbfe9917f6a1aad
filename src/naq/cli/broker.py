"""``naq broker``: is the broker good enough, what would naq make on it, and how to run one."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from naq.cli.common import DEFAULT, Common, patience, read_config, refuse_memory, say, talk
from naq.cli.findings import print_checks, worst
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Check

if TYPE_CHECKING:
    from naq.config import Config

app = Group("broker", "Check the broker, see what naq makes on it, and run one.")

Alone = Literal["standard", "strict"]  # the modes of a single server
Queues = Annotated[list[str] | None, Parameter(negative_iterable="")]


@app.command
def check(*, monitor_url: str | None = None, common: Common = DEFAULT) -> int:
    """Check the broker: reachable, new enough, JetStream on, streams as planned. Exit code 1 for a problem.

    Example: naq broker check --monitor-url http://127.0.0.1:8222

    Args:
        monitor_url: The server's HTTP port, which alone tells how often it syncs to disk.
    """
    checks = look(read_config(common), (), monitor_url=monitor_url)
    print_checks(checks, common)
    return worst(checks)


@app.command
def plan(queues: Queues = None, /, *, common: Common = DEFAULT) -> int:
    """Say what `naq broker setup` would make or refuse, and make nothing.

    Example: naq broker plan mail reports

    Args:
        queues: Queues to look for too. Default: those of the tasks of --app.
    """
    config = read_config(common)
    checks = [check for check in look(config, queues or _queues_of(common)) if check.level != "ok"]
    print_checks(checks or [Check(level="ok", text="nothing to do: everything is as planned")], common)
    return int(any(check.level == "problem" for check in checks))


@app.command
def setup(queues: Queues = None, /, *, common: Common = DEFAULT) -> None:
    """Make the streams, and the consumers of queues. Changes nothing that is there; any first use does the same.

    Example: naq broker setup mail reports

    Args:
        queues: Queues to make too. Default: those of the tasks of --app.
    """
    config = read_config(common)
    wanted = queues or _queues_of(common)
    talk(config, lambda backend: backend.open(wanted))
    also = f", and queues {', '.join(wanted)}" if wanted else ""
    say(f"the streams of namespace {config.namespace} are there{also}")


@app.command(name="config")
def config_(
    *,
    store: Path = Path("/data/jetstream"),
    host: str = "0.0.0.0",  # noqa: S104 - for a server that others reach; it is printed, not bound here
    port: int = 4222,
    name: str = "n1",
    disk: float = 10.0,
    durability: Alone = "standard",
) -> None:
    """Print a configuration for a NATS server of your own; docs/broker.md says why each line is as it is.

    Example: naq broker config --disk 50 > nats.conf

    Args:
        store: Where the server keeps its streams.
        host: The address to listen on.
        port: For clients.
        name: Of the server; each of a cluster has its own.
        disk: GiB that its disk may give; it uses 90 % of them.
        durability: standard or strict. A cluster's block is in docs/broker.md.
    """
    from naq.backends.nats.broker.config import GIB, ServerConfig, file_store_limit, render

    limit = file_store_limit(free=int(disk * GIB))
    text = render(
        ServerConfig(
            server_name=name, store_dir=store, max_file_store=limit, durability=durability, host=host, port=port,
            monitor_port=8222,
        )
    )  # fmt: skip
    sys.stdout.write(text)


@app.command
def run(folder: Path = Path(".naq"), /, *, port: int = 4222, durability: Alone = "standard") -> int:
    """Run a NATS server for naq in the foreground, on this machine only, until Ctrl-C. Its data stays.

    Example: naq broker run .naq --port 4222

    Args:
        folder: Where it keeps its data, configuration and log.
        port: For clients; -1 takes a free one.
        durability: standard or strict.
    """
    from naq.backends.nats.broker.process import ServerProcess

    server = ServerProcess.in_folder(folder, port=port, durability=durability)
    stop = {signal.SIGINT, signal.SIGTERM}
    # Blocked from before the start, so that no signal falls between two lines and leaves the server behind.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    try:
        server.start()
        print(server.url, flush=True)
        say(f"ready — data in {folder}, Ctrl-C stops it (its data stays)")
        while server.is_running:
            if signal.sigtimedwait(stop, 0.5) is not None:
                return 0
        say(f"the server has ended by itself; see {server.log_path}")
        return 1
    finally:
        server.stop()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def look(config: Config, queues: list[str] | tuple[str, ...], *, monitor_url: str | None = None) -> list[Check]:
    """What the broker of `config` looks like.

    Raises:
        ConfigurationError: its URL is none of a broker.
        NaqConnectionError: it cannot be reached.
    """
    from naq.backends.nats.survey import survey

    refuse_memory(config)
    wait = None if config.broker_url.startswith("embedded:") else patience(config)
    seen: list[Any] = asyncio.run(survey(config, queues, wait=wait, monitor_url=monitor_url))
    return [Check(level=each.level, text=each.text, advice=each.advice) for each in seen]


def _queues_of(common: Common) -> list[str]:
    if common.app is None:
        return []
    from naq.worker.loader import load_app

    return sorted({task.declared.queue for task in load_app(common.app).tasks.values()})
