"""How each setting is read, whatever its source: a value of the right type, or text that says one.

A reader takes anything and returns the typed value, or raises ValueError; what it expects is said in words beside it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final, cast

from msgspec import Struct

from naq.config.keys import EXPECTED, read_keys
from naq.exceptions import ConfigurationError
from naq.names import is_token

SECRET: Final = frozenset({"password", "token", "creds", "nkey_seed", "signing_keys", "encryption_keys"})
#: Those of naq.config.server.
SERVER_SECRET: Final = frozenset({"server_admin_password", "server_secret", "server_smtp_password"})
_CREDENTIALS: Final = re.compile(r"(?<=//)(?:(?!//).)*@", re.DOTALL)  # a password may hold '@', '/' or ','
_DURATION: Final = re.compile(r"([0-9][0-9_]*(?:\.[0-9]+)?)\s*(ms|s|m|h|d)?", re.ASCII)
_UNIT: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_LONGEST: Final = 100 * 366 * 86400.0  # seconds; a longer duration is a mistake in the unit


class Kind(Struct, frozen=True):
    """How one setting is read, and what it expects in words."""

    expected: str
    read: Callable[[object], object]


def read_seconds(value: object) -> float:
    """Seconds from a number, a timedelta, or text such as ``30``, ``0.5``, ``250ms``, ``30s``, ``5m``, ``2h``, ``7d``.

    Raises:
        ValueError: anything else, infinite, or longer than a century.
    """
    match value:
        case bool():
            raise ValueError
        case int() | float():
            seconds = float(value)
        case timedelta():
            seconds = value.total_seconds()
        case str():
            if (found := _DURATION.fullmatch(value.strip())) is None:
                raise ValueError
            seconds = float(found[1]) * _UNIT[found[2]]
        case _:
            raise ValueError
    if not math.isfinite(seconds) or abs(seconds) > _LONGEST:
        raise ValueError
    return seconds


def _seconds(*, above: float) -> Kind:
    def read(value: object) -> float:
        seconds = read_seconds(value)
        if seconds < above or (seconds == 0 and above == 0):
            raise ValueError
        return seconds

    bound = f"at least {above:g} s" if above else "more than 0"
    return Kind(f"seconds, {bound} (a number, or text such as '30s', '5m', '250ms')", read)


def _whole(*, least: int, most: int) -> Kind:
    def read(value: object) -> int:
        if isinstance(value, str):
            value = int(value.strip())
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise ValueError
        return value

    return Kind(f"a whole number from {least} to {most}", read)


def _choice(*options: str) -> Kind:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in options:
            raise ValueError
        return value

    return Kind(f"one of {', '.join(map(repr, options))}", read)


def _read_share(value: object) -> float:
    if isinstance(value, str):
        value = float(value.strip())
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError
    return float(value)


_TRUTHS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def _read_truth(value: object) -> bool:
    text = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(text, bool) and text not in _TRUTHS:
        raise ValueError
    return text if isinstance(text, bool) else _TRUTHS[cast("str", text)]


def _read_text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError
    return value


def _read_token(value: object) -> str:
    if not isinstance(value, str) or not is_token(value):
        raise ValueError
    return value


def _read_url(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or any(mark in value for mark in "\0\r\n"):
        raise ValueError
    return value.strip()


def _read_names(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple):
        raise ValueError
    items = tuple(cast("list[object]", value))
    if not all(isinstance(item, str) and all(part.isidentifier() for part in item.split(".")) for item in items):
        raise ValueError
    return cast("tuple[str, ...]", items)


def _read_word(value: object) -> str:
    text = _read_text(value)
    if len(text) > 64 or not text.isprintable() or any(map(str.isspace, text)):
        raise ValueError
    return text


_TEXT: Final = Kind("text", _read_text)
_DURATION_KIND: Final = _seconds(above=0)
_KEYS: Final = Kind(EXPECTED, read_keys)
_BYTES: Final = _whole(least=1, most=64 * 1024 * 1024)  # 64 MiB is the most a NATS server lets a message be
KINDS: Final[dict[str, Kind]] = {
    "broker_url": Kind("a URL such as 'nats://127.0.0.1:4222', 'embedded:PATH' or 'memory:'", _read_url),
    "namespace": Kind("1 to 64 letters, digits, '_' or '-'", _read_token),
    "durability": _choice("standard", "strict", "replicated", "replicated-strict"),
    "connect_timeout": _DURATION_KIND,
    "publish_timeout": _DURATION_KIND,
    "lease": _DURATION_KIND,
    "crash_limit": _whole(least=1, most=10_000),
    "max_payload": _BYTES,
    "max_result": _BYTES,
    "record_arguments": _whole(least=0, most=1_048_576),  # a record goes to all who wait for it, and stays for a week
    "max_headers": _whole(least=1, most=64 * 1024),  # the client refuses more than 64 KiB of headers
    "concurrency": _whole(least=1, most=100_000),
    "priorities": _choice("weighted", "strict"),
    "child_jobs": _whole(least=0, most=1_000_000_000),
    "child_memory": _whole(least=0, most=1_048_576),
    "child_rss": _whole(least=0, most=1_048_576),
    "scheduler": Kind("true or false", _read_truth),
    "shutdown_timeout": _DURATION_KIND,
    "heartbeat_interval": _DURATION_KIND,
    "worker_ttl": _DURATION_KIND,
    "record_ttl": _seconds(above=1),  # the broker counts a message's age limit in whole seconds
    "dead_ttl": _seconds(above=1),
    "progress_delta": Kind("a number from 0 to 1", _read_share),
    "progress_interval": _DURATION_KIND,
    "job_log_lines": _whole(least=0, most=1_000_000),
    "job_log_bytes": _whole(least=0, most=1024**3),
    "event_buffer": _whole(least=65_536, most=1024**4),
    "event_overflow": _choice("block", "drop_oldest_progress", "spill"),
    "event_spill_dir": _TEXT,
    "event_spill_bytes": _whole(least=1_048_576, most=1024**4),
    "max_artifact": _whole(least=1, most=1024**4),
    "imports": Kind("module names, as a list or separated by commas", _read_names),
    "code_version": Kind("a word of at most 64 printable characters", _read_word),
    "codec": _choice("json", "pickle"),
    "signing_keys": _KEYS,
    "encryption_keys": _KEYS,
    "user": _TEXT,
    "password": _TEXT,
    "token": _TEXT,
    "creds": _TEXT,
    "nkey_seed": _TEXT,
    "tls_ca": _TEXT,
    "tls_cert": _TEXT,
    "tls_key": _TEXT,
}


def hide_credentials(url: str) -> str:
    """`url` with whatever stands before an ``@`` replaced: ``nats://***@host:4222``."""
    return _CREDENTIALS.sub("***@", url)


def show(name: str, value: Any) -> str:
    """`value` of the setting `name` as it may appear in a message or a log: secrets hidden, long values cut."""
    if name in SECRET or name in SERVER_SECRET:
        return "'***'" if value else "''"
    text = hide_credentials(repr(value))
    return text if len(text) <= 120 else text[:120] + "…"


def read_field(name: str, value: object, source: str, kind: Kind | None = None) -> object:
    """`value` as the setting `name` holds it; `kind` says how, where it is none of `KINDS`.

    Raises:
        ConfigurationError: names `source`, the value (secrets hidden) and what was expected.
    """
    kind = kind or KINDS[name]
    try:
        return kind.read(value)
    except (ValueError, OverflowError):
        what = f"an {name}" if name[0] in "aeiou" else f"a {name}"
        raise ConfigurationError(f"{source}: {show(name, value)} is not {what}; expected {kind.expected}") from None
