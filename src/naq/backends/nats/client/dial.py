"""From an address to a wire on which we are known: TCP, the server's INFO, TLS where it is asked for, our CONNECT."""

from __future__ import annotations

import asyncio
import ssl
from typing import Final

import msgspec

from naq._version import __version__
from naq.backends.nats.client.address import Address
from naq.backends.nats.client.login import get_login
from naq.backends.nats.client.wire import Wire
from naq.config import Config
from naq.exceptions import NaqConnectionError

REACH: Final = 2.0  # seconds for a socket to be connected; the next server may be nearer
GREET: Final = 5.0  # seconds for all that is said until we are known, TLS included


async def dial(config: Config, address: Address, name: str) -> Wire:
    """A wire to the server at `address`, which knows us as `name`; nothing is left open where that fails.

    Raises:
        OSError: nobody is there, or TLS failed, or time is up (`TimeoutError`).
        NaqConnectionError: the server refused us, or broke off, or offers no TLS where it was asked for.
        ConfigurationError: the login cannot be read.
    """
    wire = Wire()
    try:
        async with asyncio.timeout(REACH):
            await asyncio.get_running_loop().create_connection(lambda: wire, address.host, address.port)
        async with asyncio.timeout(GREET):
            await _introduce(wire, config, address, name)
    except TimeoutError as error:
        raise TimeoutError(f"{address.host}:{address.port} did not answer") from error
    except UnicodeError as error:
        raise NaqConnectionError(f"{address.host!r} is no name of a host") from error
    finally:
        if not wire.is_known:
            wire.abort()
    return wire


async def _introduce(wire: Wire, config: Config, address: Address, name: str) -> None:
    info = await wire.greeted()
    wanted = address.tls or bool(config.tls_ca or config.tls_cert)
    offered = info.get("tls_required") or info.get("tls_available")
    if wanted and not offered:  # whoever stands in the server's place would say that, and be told a password
        raise NaqConnectionError("the server offers no TLS, and without it nothing is sent to it")
    if wanted or info.get("tls_required"):
        await wire.encrypt(make_context(config), address.certified)
    options = {
        "name": name,
        "lang": "python",
        "version": __version__,
        "protocol": 1,
        "verbose": False,
        "pedantic": False,
        "headers": True,
        "no_responders": True,
        "tls_required": wanted,
        **get_login(config, address, str(info.get("nonce", ""))),
    }
    wire.send(b"CONNECT %b\r\n" % msgspec.json.encode(options))
    await wire.flush()
    wire.is_known = True


def make_context(config: Config) -> ssl.SSLContext:
    """Whom to trust and what to show, read anew for each connection: certificates are renewed."""
    context = ssl.create_default_context(cafile=config.tls_ca or None)
    if config.tls_cert:
        context.load_cert_chain(config.tls_cert, config.tls_key or None)
    return context
