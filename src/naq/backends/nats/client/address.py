"""Where a server is: from a URL, or from what another server of its cluster said."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from msgspec.structs import replace

from naq.config.fields import hide_credentials
from naq.exceptions import ConfigurationError

PORT: Final = 4222  # where a URL names none


class Address(Struct, frozen=True, kw_only=True):
    """One server.

    Attributes:
        tls: whether the URL asks for it (``tls://``).
        user, password: of the URL; a user without a password is a token.
        certified: the name to find in the server's certificate.
    """

    host: str
    port: int
    tls: bool
    user: str
    password: str
    certified: str


def read_addresses(urls: str) -> list[Address]:
    """The servers that `urls` names, separated by commas.

    Raises:
        ConfigurationError: one of them is no address.
    """
    try:
        return [_read(url.strip()) for url in urls.split(",")]
    except ValueError as error:
        raise ConfigurationError(
            f"broker_url {hide_credentials(urls)!r} is no address: {error}; write it as nats://HOST:PORT"
        ) from None


def _read(url: str) -> Address:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    return Address(
        host=parts.hostname,
        port=parts.port or PORT,
        tls=parts.scheme == "tls",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        certified=parts.hostname,
    )


def read_discovered(info: Mapping[str, Any], told_by: Address) -> list[Address]:
    """The other servers of the cluster, of which `told_by` said in its INFO; logins are the same in all of them."""
    found: list[Address] = []
    for each in info.get("connect_urls") or ():
        parts = urlsplit(f"nats://{each}")
        host = parts.hostname or ""
        # Certificates seldom have numbers: the server is held to the name under which its cluster was found.
        found.append(
            replace(
                told_by,
                host=host,
                port=parts.port or PORT,
                certified=told_by.certified if _is_number(host) else host,
            )
        )
    return found


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
