"""Whose certificates are believed, of webhooks and of the mail server alike."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from ssl import SSLContext


@functools.cache  # some 20 ms: the system's authorities are read and taken apart
def trust_of(ca_file: str) -> SSLContext:
    """The system's authorities, and those in the file `ca_file` (PEM; empty: no others). Names are checked.

    Raises:
        ConfigurationError: the file cannot be read, or holds no certificate.
    """
    import ssl

    trust = ssl.create_default_context()
    if ca_file:
        try:
            trust.load_verify_locations(ca_file)
        except OSError as error:  # an SSLError is one
            why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
            raise ConfigurationError(f"server_ca_file: {ca_file!r} cannot be used: {why}") from error
    return trust
