"""The four durability modes: what each asks of the streams and of the server (RELIABILITY.md 5.1)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from msgspec import Struct

from naq.exceptions import ConfigurationError

Durability = Literal["standard", "strict", "replicated", "replicated-strict"]

SERVER_FLOOR: Final = (
    2,
    14,
    2,
)  # earlier ones accept schedules beside `discard new`, and 2.15 then cannot load the stream
STRICT_REPLICATION_FLOOR: Final = (
    2,
    15,
    0,
)  # before it, an fsync a message on every replica makes R3 + always unusable
SYNC_INTERVAL: Final = (
    0.25  # seconds; costs nothing measurable, and a power cut then loses <= 0.3 s instead of 2 minutes
)

Version = tuple[int, int, int]


class Mode(Struct, frozen=True, kw_only=True):
    """What a durability mode means.

    Attributes:
        name: as configured.
        replicas: copies of every stream.
        sync_interval: seconds between fsyncs of the server; 0 means `always`, at every write.
        atomic_batches: enqueue many through atomic batches, which are the group commit of a server that always syncs.
        floor: the lowest server version it may run on.
    """

    name: Durability
    replicas: int
    sync_interval: float
    atomic_batches: bool = False
    floor: Version = SERVER_FLOOR

    @property
    def sync_setting(self) -> str:
        """`sync_interval` as the server's configuration writes it."""
        return "always" if self.sync_interval == 0 else f"{round(self.sync_interval * 1000)}ms"


MODES: Final[Mapping[str, Mode]] = MappingProxyType(
    {
        mode.name: mode
        for mode in (
            Mode(name="standard", replicas=1, sync_interval=SYNC_INTERVAL),
            Mode(name="strict", replicas=1, sync_interval=0, atomic_batches=True),
            Mode(name="replicated", replicas=3, sync_interval=SYNC_INTERVAL),
            Mode(name="replicated-strict", replicas=3, sync_interval=0, floor=STRICT_REPLICATION_FLOOR),
        )
    }
)


def get_mode(name: str) -> Mode:
    """The mode called `name`.

    Raises:
        ConfigurationError: there is no such mode.
    """
    if (mode := MODES.get(name)) is None:
        raise ConfigurationError(f"durability {name!r} does not exist: use one of {', '.join(get_args(Durability))}")
    return mode


def parse_version(text: str) -> Version:
    """The numbers of a server version such as "2.15.1", "v2.15.0-dev" or "nats-server: v2.14.2".

    Raises:
        ValueError: `text` holds no version.
    """
    last = text.strip().rpartition(" ")[2].removeprefix("v")
    numbers = last.partition("-")[0].split(".")
    if len(numbers) != 3 or not all(number.isascii() and number.isdigit() for number in numbers):
        raise ValueError(f"{text!r} holds no version of the form 1.2.3")
    major, minor, patch = map(int, numbers)
    return major, minor, patch


def show_version(version: Version) -> str:
    """`version` as people write it."""
    return ".".join(map(str, version))


class Finding(Struct, frozen=True):
    """One thing about a broker that does not fit the mode.

    Attributes:
        fatal: naq must not start on it; otherwise it is a warning.
        message: what, why, and what to do.
    """

    fatal: bool
    message: str


def check_broker(
    mode: Mode, *, version: Version, servers: int | None = None, sync_interval: float | None = None
) -> list[Finding]:
    """Compare a broker with what `mode` needs. Pure.

    Args:
        mode: what is asked for.
        version: of the server connected to.
        servers: how many servers share the streams; None when not known.
        sync_interval: seconds, 0 for `always`; None when not known (only the monitoring port tells).
    """
    findings: list[Finding] = []
    if version < mode.floor:
        findings.append(
            Finding(
                True,
                f"the broker is NATS {show_version(version)}, durability {mode.name!r} needs "
                f"{show_version(mode.floor)} or later: upgrade the server",
            )
        )
    if servers is not None and servers < mode.replicas:
        findings.append(
            Finding(
                True,
                f"durability {mode.name!r} keeps {mode.replicas} copies, the broker has {servers} server(s): "
                f"run {mode.replicas} in a cluster, or use durability 'standard' or 'strict'",
            )
        )
    if sync_interval is not None and sync_interval > mode.sync_interval:
        promised = (
            "nothing acknowledged" if mode.sync_interval == 0 else f"at most about {mode.sync_interval:g} s of work"
        )
        findings.append(
            Finding(
                mode.sync_interval == 0,
                f"the broker syncs to disk every {sync_interval:g} s, durability {mode.name!r} promises to lose "
                f"{promised} on power loss: set jetstream.sync_interval to {mode.sync_setting!r} on the server",
            )
        )
    return findings
