"""The one password of the login page."""

from __future__ import annotations

import hmac


def check_password(given: str, wanted: str) -> bool:
    """Whether `given` is the password `wanted`, which may be an argon2 hash; takes some 30 ms then."""
    if not wanted:
        return False
    if not wanted.startswith("$argon2"):
        return hmac.compare_digest(given.encode(), wanted.encode())
    from argon2 import PasswordHasher
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        return PasswordHasher().verify(wanted, given)
    except (VerificationError, InvalidHashError):
        return False


def hash_password(password: str) -> str:
    """What to put into `server_admin_password` instead of the password itself."""
    from argon2 import PasswordHasher

    return PasswordHasher().hash(password)
