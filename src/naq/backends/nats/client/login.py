"""How we introduce ourselves to a server: what its CONNECT line says of who we are."""

from __future__ import annotations

import re
from base64 import b64encode
from pathlib import Path
from typing import Any, Final

from naq.backends.nats.client.address import Address
from naq.config import Config
from naq.exceptions import ConfigurationError

_BLOCK: Final = r"-+BEGIN {}-+\s*(\S+)\s*-+END"


def get_login(config: Config, address: Address, nonce: str) -> dict[str, str]:
    """The fields of CONNECT that log in; empty where nothing is configured. `nonce`: what the server wants signed.

    Raises:
        ConfigurationError: what is configured cannot be read, or what reads it is not installed.
    """
    if config.creds and nonce:
        text = _read_file(config.creds)
        _, signature = _sign(_find(text, "USER NKEY SEED"), nonce)
        return {"jwt": _find(text, "NATS USER JWT"), "sig": signature}
    if config.nkey_seed and nonce:
        public, signature = _sign(config.nkey_seed.strip(), nonce)
        return {"nkey": public, "sig": signature}
    if config.user:
        return {"user": config.user, "pass": config.password}
    if config.token:
        return {"auth_token": config.token}
    if address.user and not address.password:
        return {"auth_token": address.user}
    return {"user": address.user, "pass": address.password} if address.user else {}


def _read_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"the file of creds cannot be read: {error}") from error


def _find(text: str, block: str) -> str:
    found = re.search(_BLOCK.format(block), text)
    if found is None:
        raise ConfigurationError(f"the file of creds has no {block}: is it one that `nsc generate creds` made?")
    return found[1]


def _sign(seed: str, nonce: str) -> tuple[str, str]:
    """The public key that belongs to `seed`, and its signature under `nonce`, as CONNECT wants it."""
    try:
        import nkeys  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigurationError('a login by nkey or creds needs nkeys: pip install "naq[nkeys]"') from error
    library: Any = nkeys  # has no types
    try:
        pair = library.from_seed(bytearray(seed.encode()))
        return pair.public_key.decode(), b64encode(pair.sign(nonce.encode())).decode()
    except (library.NkeysError, ValueError) as error:
        raise ConfigurationError("the seed configured (nkey_seed, or that of creds) is no nkey seed") from error
