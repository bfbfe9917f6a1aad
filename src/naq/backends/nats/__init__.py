"""The NATS JetStream backend (RELIABILITY.md 5.2-5.5).

`connect` is what `naq.backends.from_url` calls; `backend.NatsBackend` lists the parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from naq.backends.nats.backend import NatsBackend
    from naq.config import Config


def connect(config: Config) -> NatsBackend:
    """A backend for ``nats:``, ``tls:`` and ``embedded:`` URLs, not opened."""
    from naq.backends.nats.backend import NatsBackend

    return NatsBackend(config)


__all__ = ["connect"]
