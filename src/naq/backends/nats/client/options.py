"""How nats-py is told to dial: authentication, TLS and timing, from the configuration."""

from __future__ import annotations

import ssl
from typing import Any, Final

from naq.config import Config

CONNECT_TIMEOUT: Final = 2  # seconds for one dial; the link tries again
PING_INTERVAL: Final = 5  # seconds; with two outstanding a silent peer is noticed after 10 to 15 s
PENDING_SIZE: Final = 8 * 1024 * 1024  # bytes that may wait for the socket before nats-py flushes by force


def _tls(config: Config) -> ssl.SSLContext | None:
    if not (config.tls_ca or config.tls_cert):
        return None
    context = ssl.create_default_context(cafile=config.tls_ca or None)
    if config.tls_cert:
        context.load_cert_chain(config.tls_cert, config.tls_key or None)
    return context


def dial_options(config: Config, name: str) -> dict[str, Any]:
    """Keyword arguments for ``nats.aio.client.Client.connect``; secrets only where they are configured."""
    options: dict[str, Any] = {
        "name": name,
        "allow_reconnect": False,  # the link dials anew (see its text)
        # One round, without pauses: it tries a server that refuses once more, then gives the next one a try.
        "max_reconnect_attempts": 1,
        "reconnect_time_wait": 0,
        "connect_timeout": CONNECT_TIMEOUT,
        "ping_interval": PING_INTERVAL,
        "max_outstanding_pings": 2,
        "pending_size": PENDING_SIZE,
        "flush_timeout": 5,
    }
    if config.user:
        options["user"] = config.user
        options["password"] = config.password
    if config.token:
        options["token"] = config.token
    if config.creds:
        options["user_credentials"] = config.creds
    if config.nkey_seed:
        options["nkeys_seed"] = config.nkey_seed
    if (tls := _tls(config)) is not None:
        options["tls"] = tls
    return options
