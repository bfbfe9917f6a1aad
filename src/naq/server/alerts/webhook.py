"""A message to a URL: signed, with a deadline, to an address that may be reached, and to no other.

The signature is that of the Standard Webhooks (standardwebhooks.com), for which there are libraries in many languages.
The name is looked up once, its addresses are judged, and the connection goes to the one that was judged: a name that
resolves differently a moment later gains nothing. Redirects are not followed, for the same reason.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ipaddress
import json
import secrets
import socket
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit, urlunsplit

from naq._version import __version__
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext

PREFIX: Final = "whsec_"
READ: Final = 65_536  # bytes of an answer that are read at most
_KEPT: Final = 200  # characters of an answer that are kept, for people
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Undeliverable(Exception):
    """It was not taken; `final`: trying again brings nothing."""

    def __init__(self, why: str, *, final: bool = False) -> None:
        super().__init__(why)
        self.final = final


def make_secret() -> str:
    """A new key to sign with."""
    return PREFIX + base64.b64encode(secrets.token_bytes(24)).decode()


def sign(secret: str, delivery: str, at: int, body: bytes) -> str:
    """The signature of a message sent at `at` (UNIX seconds), as its header has it."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    mac = hmac.new(key, f"{delivery}.{at}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def check_url(url: str) -> str:
    """`url`, if it is one that can be a webhook's.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"this is no URL: {error}") from error
    if parts.scheme not in {"http", "https"} or not parts.hostname or port == 0:
        raise ConfigurationError("a webhook is an http:// or https:// URL")
    if not url.isprintable():
        raise ConfigurationError("a URL has no control characters")
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("leave name and password out of the URL: it is shown; the signature says who sends")
    return url


def is_allowed(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether messages may go to `address`.

    That is anywhere but to this machine, its link (where clouds keep credentials), and what is no single machine;
    there too, where `allowed` says so.
    """
    if isinstance(address, ipaddress.IPv6Address):
        address = _carried(address) or address
    if any(address in network for network in allowed if network.version == address.version):
        return True
    return not (
        address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        or address.is_reserved or address in _METADATA
    )  # fmt: skip


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is meant by one of IPv6, where it is one of those."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
#: Where clouds answer beside link-local addresses: AWS over IPv6, Alibaba Cloud.
_METADATA: Final = frozenset({ipaddress.ip_address("fd00:ec2::254"), ipaddress.ip_address("100.100.100.200")})


async def post(
    url: str,
    said: dict[str, Any],
    *,
    delivery: str,
    secret: str,
    at: int,
    timeout: float,
    allowed: Sequence[Network] = (),
    trust: SSLContext,
) -> str:
    """Send `said` to `url`, signed where there is a `secret`; what was answered, for people.

    Raises:
        Undeliverable: it may not be sent there, cannot be, or was not taken.
    """
    import httpx2 as httpx

    body = json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"naq/{__version__}",
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        **({"webhook-signature": sign(secret, delivery, at, body)} if secret else {}),
    }
    try:
        async with asyncio.timeout(timeout):
            target, name, host = await _resolve(url, allowed)
            async with (
                httpx.AsyncClient(timeout=timeout, trust_env=False, follow_redirects=False, verify=trust) as client,
                client.stream(
                    "POST", target, content=body, headers=headers | {"Host": host}, extensions={"sni_hostname": name}
                ) as response,
            ):
                answer = await _begin_of(response)
                status = response.status_code
    except TimeoutError:
        raise Undeliverable(f"no answer within {timeout:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise Undeliverable(f"{type(error).__name__}: {error}"[:_KEPT]) from error
    if 200 <= status < 300:
        return f"{status} {answer}".strip()
    if 300 <= status < 400:
        raise Undeliverable(f"{status}: redirects are not followed; give the URL where it goes", final=True)
    # 408, 425 and 429 say "later"; of the other 4xx the same message would get the same answer.
    raise Undeliverable(f"{status} {answer}".strip(), final=400 <= status < 500 and status not in {408, 425, 429})


async def _begin_of(response: Any) -> str:
    read = b""
    async for part in response.aiter_bytes():
        read += part
        if len(read) >= READ:
            break
    return " ".join(read[: _KEPT * 4].decode("utf-8", "replace").split())[:_KEPT]


async def _resolve(url: str, allowed: Sequence[Network]) -> tuple[str, str, str]:
    """`url` with an address instead of the name, the name, and what the header Host says."""
    parts = urlsplit(check_url(url))
    name = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Undeliverable(f"{name} cannot be looked up: {error.strerror or error}") from error
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    good = [address for address in addresses if is_allowed(address, allowed)]
    if not good:
        raise Undeliverable(
            f"{name} is {addresses[0]}, where messages may not go; server_webhook_allow may allow it", final=True
        )
    numeric = f"[{good[0]}]" if good[0].version == 6 else str(good[0])
    host = f"[{name}]" if ":" in name else name
    if parts.port is not None:
        host = f"{host}:{parts.port}"
    return urlunsplit((parts.scheme, f"{numeric}:{port}", parts.path or "/", parts.query, "")), name, host
