"""The process's own connection: opened by whatever needs it, or here, to see at once whether the broker is there."""

from __future__ import annotations

from naq import sync
from naq.connections import close_all, forget_settings, settings, shared


async def connect(nats_url: str | None = None) -> None:
    """Open the connection that module functions and queues use on this event loop, for the broker at `nats_url`.

    Not needed: the first call that wants it opens it.

    Raises:
        NaqConnectionError: the broker cannot be reached within `connect_timeout`.
        ConfigurationError: a setting is invalid.
    """
    await shared(settings(nats_url)).connect()


def connect_sync(nats_url: str | None = None) -> None:
    """`connect` for code without an event loop: opens the connection of all ``..._sync`` calls."""
    sync.run("await naq.connect()", shared(settings(nats_url)).connect)


async def disconnect() -> None:
    """Close what module functions and queues opened on this event loop, and read the settings anew next time.

    They may be used again afterwards. Apps close their own (``async with app:``).
    """
    forget_settings()
    await close_all()


def disconnect_sync() -> None:
    """`disconnect` for code without an event loop: closes the connections of all ``..._sync`` calls."""
    forget_settings()
    sync.run("await naq.disconnect()", close_all)
