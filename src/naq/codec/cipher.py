"""Encryption: AES-256-GCM under keys with ids. The first key encrypts, every key decrypts.

Each text has a key of its own, derived from the secret and 16 random bytes, so that however many jobs one secret
encrypts, no nonce is used twice with the same key (under one key, 96 random bits are enough for 2**32 texts only).
"""

from __future__ import annotations

import binascii
import hmac
import secrets
from typing import Any, Final

from naq.config.keys import Keyring
from naq.exceptions import ConfigurationError, SerializationError

_LABEL: Final = b"naq-encryption-1"  # so that a secret that also signs never yields the same bytes
_SALT: Final = 16  # bytes
_NONCE: Final = 12  # bytes, what GCM is made for
_TAG: Final = 16  # bytes
#: Bytes that encryption adds, before base64.
OVERHEAD: Final = _SALT + _NONCE + _TAG


def encrypt(keys: Keyring, place: bytes, text: bytes) -> tuple[str, str]:
    """The id of the key, and `text` encrypted for its `place`, in base64. There must be a first key."""
    key = keys.first
    assert key is not None, "asked before"
    salt, nonce = secrets.token_bytes(_SALT), secrets.token_bytes(_NONCE)
    sealed = salt + nonce + _aes(key.secret, salt).encrypt(nonce, text, place)
    return key.id, binascii.b2a_base64(sealed, newline=False).decode("ascii")


def decrypt(keys: Keyring, place: bytes, key_id: str, text: str) -> bytes:
    """What was encrypted for this `place`.

    Raises:
        SerializationError: it was encrypted with a key that is not in `keys` or for another place, it was changed, or
            part of it is missing.
    """
    key = keys.by_id.get(key_id)
    if key is None:
        raise SerializationError(
            f"it is encrypted with the key {key_id[:40]!r}, which is not among encryption_keys here"
        )
    try:
        sealed = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (ValueError, UnicodeEncodeError):
        sealed = b""
    if len(sealed) < OVERHEAD:
        raise SerializationError("what is encrypted in it is cut off, or is not base64")
    salt, nonce, body = sealed[:_SALT], sealed[_SALT : _SALT + _NONCE], sealed[_SALT + _NONCE :]
    from cryptography.exceptions import InvalidTag

    try:
        return _aes(key.secret, salt).decrypt(nonce, body, place)
    except InvalidTag:
        raise SerializationError(
            f"it cannot be decrypted (key {key_id!r}): it was changed or cut off, or encrypted for another job, queue"
            " or namespace"
        ) from None


def require() -> None:
    """Make sure that encryption is possible here.

    Raises:
        ConfigurationError: `cryptography` is not installed; says which command installs it.
    """
    try:
        import cryptography.hazmat.primitives.ciphers.aead as _  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "encryption_keys need cryptography, which is not installed: pip install 'naq[crypto]'"
        ) from error


def _aes(secret: bytes, salt: bytes) -> Any:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(hmac.digest(secret, _LABEL + salt, "sha256"))
