"""The configuration of a NATS server as text. Pure: nothing is read, started or written here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from naq.backends.nats.broker.durability import get_mode
from naq.exceptions import ConfigurationError

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB

MAX_PAYLOAD: Final = 8 * MIB  # bytes; far above naq's own 1 MiB limit, so that naq's error comes first
MAX_MEMORY_STORE: Final = 256 * MIB  # bytes; only LIVE (worker registrations, leases) is kept in memory
WRITE_DEADLINE: Final = "10s"  # how long a client may read nothing before the server cuts it off
DISK_SHARE: Final = 0.9  # of what the disk may give: past the limit the server says so; past the disk it freezes
MIN_FILE_STORE: Final = 64 * MIB  # bytes; below it not even naq's own streams fit
MAX_FILE_STORE: Final = 1024 * GIB  # bytes; network file systems report exabytes free
ANY_PORT: Final = -1  # the server takes a free one and says which in its ports file


class Cluster(Struct, frozen=True, kw_only=True):
    """This server's place in a cluster.

    Attributes:
        name: the same on every server.
        port: where the others reach this one.
        routes: "host:port" of the others (this one may be among them).
        host: address to listen on for the others.
    """

    name: str
    port: int
    routes: tuple[str, ...]
    host: str = "127.0.0.1"


class ServerConfig(Struct, frozen=True, kw_only=True):
    """Everything naq decides about a server.

    Attributes:
        server_name: unique in a cluster; no white space.
        store_dir: where streams live.
        max_file_store: bytes; see `file_store_limit`.
        durability: mode; decides how often the server syncs to disk.
        host: address to listen on for clients and monitoring.
        port: for clients; -1 takes a free one.
        monitor_port: HTTP (/healthz, /varz); -1 takes a free one, None leaves it off.
        ports_file_dir: where the server says which ports it took, once it is ready.
        cluster: needed for the replicated modes.
        user, password: both or none.
        token: instead of user and password.
        max_payload, max_memory_store: bytes.
    """

    server_name: str
    store_dir: Path
    max_file_store: int
    durability: str = "standard"
    host: str = "127.0.0.1"
    port: int = ANY_PORT
    monitor_port: int | None = ANY_PORT
    ports_file_dir: Path | None = None
    cluster: Cluster | None = None
    user: str = ""
    password: str = ""
    token: str = ""
    max_payload: int = MAX_PAYLOAD
    max_memory_store: int = MAX_MEMORY_STORE

    def __repr__(self) -> str:
        """Without the secrets."""
        return f"ServerConfig({self.server_name!r}, {self.host}:{self.port}, {self.store_dir}, {self.durability})"


def file_store_limit(*, free: int, used: int = 0) -> int:
    """Bytes for `max_file_store`: 90 % of what the disk may give.

    Args:
        free: bytes free on the disk of the store.
        used: bytes that the store already holds.
    """
    return min(max(int((free + used) * DISK_SHARE), MIN_FILE_STORE), max(MAX_FILE_STORE, 2 * used))


def quote(text: str) -> str:
    """`text` as a quoted string of the server's configuration language.

    Raises:
        ConfigurationError: it holds NUL or a lone surrogate, which no setting can.
    """
    bad = next((char for char in text if char == "\0" or "\ud800" <= char <= "\udfff"), None)
    if bad is not None:
        raise ConfigurationError(f"a broker setting holds the character {bad!r}, which cannot be written: remove it")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for char, escape in (("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t")):
        escaped = escaped.replace(char, escape)
    return f'"{escaped}"'


def render(config: ServerConfig) -> str:
    """The configuration file for `config`.

    Raises:
        ConfigurationError: the settings contradict each other or cannot be written.
    """
    mode = get_mode(config.durability)
    _check(config, replicas=mode.replicas)
    lines = [
        f"# Written by naq for durability {mode.name!r}: docs/broker.md says why each line is as it is.",
        f"server_name: {quote(config.server_name)}",
        f"listen: {quote(f'{config.host}:{config.port}')}",
    ]
    if config.monitor_port is not None:
        lines.append(f"http: {quote(f'{config.host}:{config.monitor_port}')}")
    if config.ports_file_dir is not None:
        lines.append(f"ports_file_dir: {quote(str(config.ports_file_dir))}")
    lines += [
        f"max_payload: {config.max_payload}",
        f"write_deadline: {quote(WRITE_DEADLINE)}",
        *_block(
            "jetstream",
            [
                f"store_dir: {quote(str(config.store_dir))}",
                f"sync_interval: {quote(mode.sync_setting)}",
                f"max_file_store: {config.max_file_store}",
                f"max_memory_store: {config.max_memory_store}",
            ],
        ),
    ]
    if config.cluster is not None:
        lines += _cluster(config.cluster)
    if config.token:
        lines += _block("authorization", [f"token: {quote(config.token)}"])
    elif config.user:
        lines += _block("authorization", [f"user: {quote(config.user)}", f"password: {quote(config.password)}"])
    return "\n".join(lines) + "\n"


def _cluster(cluster: Cluster) -> list[str]:
    routes = ", ".join(quote(f"nats://{route}") for route in cluster.routes)
    return _block(
        "cluster",
        [f"name: {quote(cluster.name)}", f"listen: {quote(f'{cluster.host}:{cluster.port}')}", f"routes: [{routes}]"],
    )


def _block(name: str, lines: Sequence[str]) -> list[str]:
    return [f"{name} {{", *(f"  {line}" for line in lines), "}"]


def _check(config: ServerConfig, *, replicas: int) -> None:
    if not config.server_name or any(char.isspace() for char in config.server_name):
        raise ConfigurationError(f"server_name {config.server_name!r} is not allowed: use a word without white space")
    if replicas > 1 and config.cluster is None:
        raise ConfigurationError(
            f"durability {config.durability!r} keeps {replicas} copies, and this server has no cluster: "
            "give `cluster`, or use durability 'standard' or 'strict'"
        )
    if config.token and (config.user or config.password):
        raise ConfigurationError("the broker takes a token or a user with password, not both: leave one out")
    if bool(config.user) != bool(config.password):
        raise ConfigurationError("the broker's user and password go together: give both or none")
    for name in ("max_payload", "max_memory_store", "max_file_store"):
        if (value := getattr(config, name)) <= 0:
            raise ConfigurationError(f"{name} is {value}: give a number of bytes above 0")
