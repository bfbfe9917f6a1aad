"""What a server's monitoring port says: is it healthy, who leads what, how often it syncs to disk."""

from __future__ import annotations

from typing import TypeVar
from urllib.request import urlopen

import msgspec
from msgspec import Struct

TIMEOUT = 2.0  # seconds; it answers from memory, over loopback or the local network

T = TypeVar("T")


class Replica(Struct, frozen=True):
    """A follower, as the leader sees it."""

    name: str
    current: bool = False
    offline: bool = False


class Group(Struct, frozen=True):
    """Servers that agree on something: the cluster's assets, or one stream."""

    leader: str = ""
    replicas: tuple[Replica, ...] | None = None


class Stream(Struct, frozen=True):
    """A stream and the group that holds it; a single server has no group."""

    name: str
    cluster: Group | None = None


class Account(Struct, frozen=True):
    """The streams of an account."""

    stream_detail: tuple[Stream, ...] | None = None


class JetStream(Struct, frozen=True):
    """The part of /jsz that we use. `account_details` only where it was asked for."""

    meta_cluster: Group | None = None
    account_details: tuple[Account, ...] | None = None


class _JetStreamConfig(Struct, frozen=True):
    sync_interval: int = 0  # nanoseconds
    sync_always: bool = False


class _JetStreamVars(Struct, frozen=True):
    config: _JetStreamConfig | None = None


class _Vars(Struct, frozen=True):
    jetstream: _JetStreamVars | None = None


def is_healthy(monitor_url: str, *, timeout: float = TIMEOUT) -> bool:
    """Whether /healthz answers 200: JetStream is on, streams are loaded, in a cluster the meta leader is known."""
    try:
        with urlopen(f"{monitor_url}/healthz", timeout=timeout) as answer:  # noqa: S310 - an http URL of our configuration
            return answer.status == 200
    except OSError:  # refused, reset, timed out, or 503: all mean "not now"
        return False


def read_jetstream(monitor_url: str, *, streams: bool = False, timeout: float = TIMEOUT) -> JetStream | None:
    """What /jsz says; None where nobody answers.

    Args:
        monitor_url: "http://host:port".
        streams: list the streams too; slow where there are thousands.
        timeout: seconds.
    """
    query = "?accounts=true&streams=true" if streams else ""
    return _read(f"{monitor_url}/jsz{query}", JetStream, timeout)


def read_sync_interval(monitor_url: str, *, timeout: float = TIMEOUT) -> float | None:
    """Seconds between fsyncs of the server, 0 for `always`; None where nobody answers or JetStream is off."""
    said = _read(f"{monitor_url}/varz", _Vars, timeout)
    if said is None or said.jetstream is None or said.jetstream.config is None:
        return None
    config = said.jetstream.config
    return 0.0 if config.sync_always else config.sync_interval / 1e9


def _read(url: str, kind: type[T], timeout: float) -> T | None:
    try:
        with urlopen(url, timeout=timeout) as answer:  # noqa: S310 - as above
            return msgspec.json.decode(answer.read(), type=kind)
    except OSError:  # paused, just killed, or not ready: it has nothing to say
        return None
