"""``app.event("order.placed")``: a kind of event, to publish."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from msgspec import Raw

from naq import clock, sync
from naq.codec.signature import Signature
from naq.connections import Host, on_bridge
from naq.context import find_context
from naq.events.wire import Published, write_event
from naq.exceptions import ConfigurationError
from naq.job import new_id
from naq.names import check_event, check_token

if TYPE_CHECKING:
    from naq.backends.base import Event

T = TypeVar("T")


class EventType(Generic[T]):
    """A kind of event whose data are of the type `T`. Made by ``app.event(name, type)``; making one costs nothing.

    Attributes:
        name: ``order.placed``.
        host: where it is published: the app.
    """

    def __init__(self, name: str, type_: Any, host: Host) -> None:
        self.name: Final = check_event(name)
        self.host: Final = host

        def takes(data: Any) -> None:
            """Stands for whoever handles the event."""

        takes.__annotations__["data"] = type_
        self._signature = Signature.of(takes, f"event {name}")

    def __repr__(self) -> str:
        return f"<event {self.name}>"

    async def publish(self, data: T, *, key: str = "", event_id: str | None = None) -> str:
        """Say that it has happened; durable when this returns. Its handlers run as jobs of their own.

        `key` says of what (an order's number), for jobs that wait for it. The same `event_id` is one event, however
        often it is published. Returns the id.

        Raises:
            SerializationError: `data` is not of the type, or has no JSON form.
            PayloadTooLarge: it is over `max_payload`.
            NaqConnectionError: not known to be stored (doing it again with the same `event_id` is safe).
        """
        event = self.event(data, key=key, event_id=event_id)
        await _append(self.host, event)
        return event.job_id

    def publish_sync(self, data: T, *, key: str = "", event_id: str | None = None) -> str:
        """`publish` for code without an event loop."""
        event = self.event(data, key=key, event_id=event_id)
        sync.run("await event.publish(...)", _append, on_bridge(self.host), event)
        return event.job_id

    def event(self, data: T, *, key: str = "", event_id: str | None = None) -> Event:
        """What `publish` would store, not stored.

        Raises:
            SerializationError, PayloadTooLarge, ConfigurationError: as `publish`.
        """
        if key and not (key.isascii() and key.isprintable() and len(key) <= 200):
            raise ConfigurationError(
                f"event key {key!r:.80} is not allowed: use at most 200 printable ASCII characters"
            )
        args, _ = self._signature.encode((data,), {})
        parent = find_context()
        published = Published(
            name=self.name,
            data=Raw(bytes(args)[1:-1]),
            key=key,
            parent=parent.job_id if parent else "",
            root=(parent.root or parent.job_id) if parent else "",
        )
        chosen = new_id() if event_id is None else check_token("event id", event_id)
        return write_event(self.host.config, chosen, published, clock.now())


async def _append(host: Host, event: Event) -> None:
    backend = await host.connect()
    await backend.append([event])
