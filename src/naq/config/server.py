"""The settings of ``naq server``: each with what it is for, its unit, and why its default is what it is.

They come from where all settings come from, under the same rules, with ``server_`` before their names:
``NAQ_SERVER_PORT=8520``, ``[tool.naq] server_port = 8520``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from msgspec import Struct
from msgspec.structs import force_setattr

from naq.config.fields import Kind, read_field, read_seconds
from naq.config.load import given_settings
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    import ipaddress

Auth = Literal["off", "tokens", "proxy"]

PREFIX: Final = "server_"
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})
_RATE: Final = re.compile(r"([0-9]{1,9})\s*/\s*([0-9]+(?:ms|s|m|h)?)", re.ASCII)
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_MOST: Final = 1_000_000_000  # of whatever is counted: more is a slip of the keyboard


def read_rate(text: str) -> tuple[int, float]:
    """How many in how many seconds, from text such as ``600/60s``.

    Raises:
        ValueError: it is none.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None or not int(found[1]) or not 1 <= (seconds := read_seconds(found[2])) <= 86400:
        raise ValueError
    return int(found[1]), seconds


def _text(expected: str, good: Callable[[str], object]) -> Kind:
    def read(value: object) -> str:
        if not isinstance(value, str) or not good(value) or any(mark in value for mark in "\0\r\n"):
            raise ValueError
        return value

    return Kind(expected, read)


def _whole(least: int, most: int = _MOST) -> Kind:
    def read(value: object) -> int:
        number = int(value.strip()) if isinstance(value, str) else value
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise ValueError
        return number

    return Kind(f"a whole number from {least} to {most}", read)


def _list(expected: str, good: Callable[[str], object]) -> Kind:
    def read(value: object) -> tuple[str, ...]:
        parts = [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value
        if not isinstance(parts, list | tuple):
            raise ValueError
        items = cast("list[object]", parts)
        if not all(isinstance(item, str) and good(item) for item in items):
            raise ValueError
        return tuple(cast("list[str]", items))

    return Kind(expected, read)


def _read_bool(value: object) -> bool:
    known: dict[object, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}
    if not isinstance(value, bool | str) or value not in known:
        raise ValueError
    return known[value]


def _read_seconds(value: object) -> float:
    seconds = read_seconds(value)
    if seconds <= 0:
        raise ValueError
    return seconds


def _read_rate_text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError
    read_rate(value)
    return value


def _is_network(text: str) -> bool:
    import ipaddress

    ipaddress.ip_network(text, strict=False)
    return True


def _read_auth(value: object) -> str:
    if value not in {"off", "tokens", "proxy"}:
        raise ValueError
    return cast("str", value)


def _read_smtp_tls(value: object) -> str:
    if value not in {"starttls", "tls", "off"}:
        raise ValueError
    return cast("str", value)


_BOOL: Final = Kind("true or false", _read_bool)
_SECONDS: Final = Kind("seconds, more than 0 (a number, or text such as '30s', '5m')", _read_seconds)
_RATE_KIND: Final = Kind("a rate such as '600/60s', its time from 1 second to a day", _read_rate_text)
_ANY: Final = _text("text of one line", lambda _: True)
_HEADER_KIND: Final = _text("the name of a header", _HEADER.fullmatch)
_BYTES: Final = _whole(1, 1024**3)

#: How each setting is read, and what it is for: with its unit, and the reason of its default.
SERVER_KINDS: Final[dict[str, tuple[Kind, str]]] = {
    "host": (_text("an address or a host's name", bool), "address it listens on; anything but loopback needs `auth`"),
    "port": (_whole(0, 65535), "port it listens on; 0: a free one, which is said"),
    "path_prefix": (
        _text("empty, or a path such as '/naq'", re.compile(r"|(/[A-Za-z0-9._~-]+)+", re.ASCII).fullmatch),
        "path that a proxy puts before everything and takes away again",
    ),
    "environment": (_ANY, "what this installation is called, such as production; shown on every page"),
    "database": (_ANY, "where the history is kept: `sqlite:///PATH` or `postgresql://...`"),
    "auth": (
        Kind("one of 'off', 'tokens', 'proxy'", _read_auth),
        "who may do what: `off` (all are admin, loopback only), `tokens`, or `proxy` (a proxy says who)",
    ),
    "insecure": (_BOOL, "listen on a public address without `auth`; whoever reaches it is admin"),
    "admin_password": (_ANY, "password of the login page, or its argon2 hash (`naq tokens hash`); empty: no login"),
    "secret": (
        _ANY,
        "key of cursors and sessions, 32 characters or more; empty: one that is made once and kept in the database",
    ),
    "proxies": (
        _list("addresses or networks, as a list or separated by commas", _is_network),
        "addresses whose headers of `auth = proxy`, and X-Forwarded-For, are believed; all others' are not",
    ),
    "user_header": (_HEADER_KIND, "header in which a believed proxy names the user"),
    "role_header": (_HEADER_KIND, "header in which it names the role; without it a user is viewer"),
    "redact": (
        _list("names or paths such as 'password' or 'args.0.card', as a list or separated by commas", bool),
        "names (any depth) and paths of arguments and results that nobody is shown",
    ),
    "viewer_arguments": (_BOOL, "whether viewers see arguments and results, and may filter by them"),
    "max_body": (_BYTES, "bytes of a JSON body; as `max_payload`, since a job is the largest thing that is sent"),
    "page_size": (_whole(1, 200), "rows of a page where none is asked for; what a screen shows"),
    "page_limit": (_whole(1, 1000), "rows of a page at most; more costs more than the next request"),
    "count_cap": (_whole(1, 1_000_000), "rows counted at most; beyond it a count is 'at least', at a bounded cost"),
    "cursor_ttl": (_SECONDS, "seconds that a cursor is taken; a page left open over a night goes on"),
    "filter_terms": (_whole(1, 100), "terms of one filter; each may cost a look at rows"),
    "rate": (_RATE_KIND, "requests of one token or address; a page with all its panels makes some 20 a minute"),
    "rate_login": (_RATE_KIND, "logins of one address; slow for who guesses, enough for who mistypes"),
    "rate_enqueue": (_RATE_KIND, "jobs enqueued through the API by one token; the library has no such limit"),
    "rate_bulk": (_RATE_KIND, "bulk actions begun by one token; each may touch every job"),
    "idempotency_ttl": (_SECONDS, "seconds that the answer to an Idempotency-Key is kept; a day, as clients expect"),
    "idempotency_body": (_BYTES, "bytes of an answer that is kept for an Idempotency-Key"),
    "session_ttl": (_SECONDS, "seconds that a login lasts; a working day"),
    "token_ttl": (_SECONDS, "seconds until a new token expires where nothing is said; a quarter of a year"),
    "request_timeout": (_SECONDS, "seconds until a question to broker or database is given up"),
    "breaker_failures": (_whole(1, 1000), "failures in a row after which broker or database are not asked for a while"),
    "breaker_open": (_SECONDS, "seconds for which they are not asked then; `Retry-After` of the answers meanwhile"),
    "bulk_ids": (_whole(1, 10_000), "ids that one bulk action may list; more is a filter"),
    "bulk_page": (_whole(1, 1000), "jobs that a bulk action reads at once"),
    "bulk_at_once": (_whole(1, 1000), "jobs that it acts on at once; the broker answers so many in one go"),
    "bulk_errors": (_whole(1, 10_000), "failures of a bulk action that are listed; the rest is counted"),
    "sse_clients": (_whole(1, 100_000), "event streams of one process; each costs some 100 KiB under load"),
    "sse_clients_each": (_whole(1, 100_000), "event streams of one token or address; a browser needs one"),
    "sse_topics": (_whole(1, 10_000), "topics of one stream; a page shows some ten"),
    "sse_buffer": (_whole(8, 1_000_000), "events that wait for one client; beyond it they are merged, then a reset"),
    "sse_log": (_whole(1, 1_000_000), "events kept in memory for who reconnects; at 1,000 a second some ten seconds"),
    "sse_replay": (_whole(1, 100_000), "events that a reconnected client is sent; more is a reset, which is cheaper"),
    "sse_heartbeat": (_SECONDS, "seconds between two comments on a quiet stream; proxies cut off after 30 or 60"),
    "sse_write": (_SECONDS, "seconds that a client may take to accept what it is sent; then it is dropped, with `bye`"),
    "sse_step": (_SECONDS, "seconds between two events of one thing at least; 4 a second is what an eye follows"),
    "poll": (_SECONDS, "seconds between two looks at queues and workers while somebody watches them"),
    "keep_succeeded": (_SECONDS, "seconds since they ended that succeeded jobs stay in the history; a month"),
    "keep_failed": (_SECONDS, "the same of failed ones; a quarter of a year, for who looks into them"),
    "keep_cancelled": (_SECONDS, "the same of cancelled ones"),
    "keep_expired": (_SECONDS, "the same of expired ones"),
    "keep_jobs": (_whole(0), "ended jobs that stay at most, the latest; 0: as many as there are"),
    "public_url": (
        _text("empty, or a URL such as 'https://naq.example.org'", re.compile(r"|https?://[^\s/]+\S*").fullmatch),
        "where people reach the server; in front of the links of messages about incidents",
    ),
    "metrics_open": (_BOOL, "answer `/metrics` to who asks from this machine without a token"),
    "alert_every": (_SECONDS, "seconds between two looks at all alert rules; what is wrong for less may be missed"),
    "database_limit": (_whole(0, 2**60), "bytes that the database may take, for alerts of kind `storage`; 0: unknown"),
    "webhook_allow": (
        _list("addresses or networks, as a list or separated by commas", _is_network),
        "addresses that webhooks may go to although they are of this machine, its link, or a cloud's metadata",
    ),
    "webhook_timeout": (_SECONDS, "seconds that a webhook may take in all; it is tried again later"),
    "delivery_tries": (_whole(1, 100), "times that a message is tried; 8 take some two hours, as most outages do"),
    "ca_file": (_ANY, "file (PEM) of authorities to believe beside the system's, of webhooks and the mail server"),
    "smtp_host": (_ANY, "server that takes e-mail; empty: none is sent"),
    "smtp_port": (_whole(1, 65535), "its port; 587 is that of submission"),
    "smtp_tls": (
        Kind("one of 'starttls', 'tls', 'off'", _read_smtp_tls),
        "how the connection to it is encrypted: `starttls`, `tls` from the start (port 465), or `off`",
    ),
    "smtp_user": (_ANY, "name to log in to it with; empty: no login"),
    "smtp_password": (_ANY, "password to log in to it with"),
    "smtp_from": (_ANY, "address that e-mail comes from"),
    "smtp_timeout": (_SECONDS, "seconds that it may take for each answer"),
    "keep_incidents": (_SECONDS, "seconds since they were resolved that incidents and messages about them are kept"),
    "drain": (_SECONDS, "seconds that open requests have when the server stops; streams are told `bye` at once"),
}  # fmt: skip


class ServerConfig(Struct, frozen=True, kw_only=True):
    """Every setting of the server. What each is for is said in `SERVER_KINDS` and docs/server.md.

    Raises:
        ConfigurationError: a value that cannot be, or settings that contradict each other.
    """

    host: str = "127.0.0.1"
    port: int = 8520
    path_prefix: str = ""
    environment: str = ""
    database: str = "sqlite:///.naq/server.db"
    auth: Auth = "off"
    insecure: bool = False
    admin_password: str = ""
    secret: str = ""
    proxies: tuple[str, ...] = ()
    user_header: str = "X-Forwarded-User"
    role_header: str = "X-Forwarded-Role"
    redact: tuple[str, ...] = ("password", "passwd", "secret", "token", "api_key", "authorization", "credit_card")
    viewer_arguments: bool = True
    max_body: int = 1_048_576
    page_size: int = 50
    page_limit: int = 200
    count_cap: int = 10_000
    cursor_ttl: float = 86400.0
    filter_terms: int = 20
    rate: str = "600/60s"
    rate_login: str = "10/60s"
    rate_enqueue: str = "300/60s"
    rate_bulk: str = "30/60s"
    idempotency_ttl: float = 86400.0
    idempotency_body: int = 262_144
    session_ttl: float = 12 * 3600.0
    token_ttl: float = 90 * 86400.0
    request_timeout: float = 5.0
    breaker_failures: int = 3
    breaker_open: float = 5.0
    bulk_ids: int = 1000
    bulk_page: int = 500
    bulk_at_once: int = 64
    bulk_errors: int = 100
    sse_clients: int = 1000
    sse_clients_each: int = 10
    sse_topics: int = 100
    sse_buffer: int = 256
    sse_log: int = 10_000
    sse_replay: int = 1000
    sse_heartbeat: float = 15.0
    sse_write: float = 10.0
    sse_step: float = 0.25
    poll: float = 1.0
    keep_succeeded: float = 30 * 86400.0
    keep_failed: float = 90 * 86400.0
    keep_cancelled: float = 30 * 86400.0
    keep_expired: float = 30 * 86400.0
    keep_jobs: int = 0
    public_url: str = ""
    metrics_open: bool = False
    alert_every: float = 10.0
    database_limit: int = 0
    webhook_allow: tuple[str, ...] = ()
    webhook_timeout: float = 10.0
    delivery_tries: int = 8
    ca_file: str = ""
    smtp_host: str = ""
    smtp_port: int = 587
    smtp_tls: Literal["starttls", "tls", "off"] = "starttls"
    smtp_user: str = ""
    smtp_password: str = ""
    smtp_from: str = "naq@localhost"
    smtp_timeout: float = 10.0
    keep_incidents: float = 90 * 86400.0
    drain: float = 5.0

    def __post_init__(self) -> None:
        for name, (kind, _) in SERVER_KINDS.items():
            force_setattr(self, name, read_field(PREFIX + name, getattr(self, name), "ServerConfig", kind))
        if self.page_size > self.page_limit:
            raise ConfigurationError(f"server_page_size ({self.page_size}) is more than server_page_limit")
        if self.secret and len(self.secret) < 32:
            raise ConfigurationError("server_secret is shorter than 32 characters: whoever guesses it is admin")
        if self.auth == "proxy" and not self.proxies:
            raise ConfigurationError("server_auth is 'proxy': say in server_proxies which addresses are believed")

    def __repr__(self) -> str:
        from naq.config.fields import show

        return f"ServerConfig({', '.join(f'{n}={show(PREFIX + n, getattr(self, n))}' for n in SERVER_KINDS)})"

    @property
    def is_local(self) -> bool:
        """Whether nobody outside of this machine can reach it."""
        return self.host in LOOPBACK or self.host.startswith("127.")

    @property
    def webhook_networks(self) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
        """`webhook_allow`, read."""
        import ipaddress

        return [ipaddress.ip_network(text, strict=False) for text in self.webhook_allow]

    def refuse_public(self) -> None:
        """Refuse to listen where everybody would be admin.

        Raises:
            ConfigurationError: the address is public, `auth` is off, and `insecure` does not say that this is meant.
        """
        if not self.is_local and self.auth == "off" and not self.insecure:
            raise ConfigurationError(
                f"server_host is {self.host!r}, which others can reach, and server_auth is 'off': everybody would be "
                "admin. Set server_auth = 'tokens' (and make one: naq tokens create), or listen on 127.0.0.1"
            )


def load_server(arguments: Mapping[str, object] | None = None) -> ServerConfig:
    """The settings in force: `arguments` (without ``server_``), else those of the sources that `load_config` reads.

    Raises:
        ConfigurationError: an unknown setting or an invalid value, with its source; every ``NAQ_*`` is checked.
    """
    given = {PREFIX + name: value for name, value in (arguments or {}).items()}
    values = {
        name.removeprefix(PREFIX): value
        for name, (_, value) in given_settings(given).items()
        if name.startswith(PREFIX)
    }
    return ServerConfig(**cast("dict[str, Any]", values))
