"""From a `broker_url` to a server's address, starting one where the URL asks for it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from naq.config import Config
from naq.exceptions import ConfigurationError

SCHEMES = ("nats://", "tls://")


class Held(Protocol):
    """A broker that lives as long as somebody holds it."""

    def close(self) -> None:
        """Let go."""
        ...


def resolve(config: Config) -> tuple[str, Held | None]:
    """The address to dial, and what to hold meanwhile. May start a server; blocks while it starts.

    Raises:
        ConfigurationError: the URL is none that this backend understands.
        NaqConnectionError: the server of an ``embedded:`` folder did not start.
    """
    url = config.broker_url
    if url.startswith("embedded:"):
        from naq.backends.nats.broker.embedded import ensure_broker

        held = ensure_broker(Path(url.removeprefix("embedded:") or ".naq"), durability=config.durability)
        return held.url, held
    if all(part.strip().startswith(SCHEMES) for part in url.split(",")):
        return url, None
    raise ConfigurationError(
        f"broker_url {url!r} is not a NATS address: nats://HOST:PORT, tls://HOST:PORT, several separated "
        "by commas, or embedded:FOLDER"
    )
