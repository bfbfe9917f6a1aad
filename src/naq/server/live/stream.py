"""The one way in which events are streamed: hello, what was missed, what comes, a sign of life, and why it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from naq import clock
from naq._version import __version__
from naq.server.access.roles import Identity
from naq.server.live.client import Client
from naq.server.live.tidings import Tidings, alive
from naq.server.problems import Problem

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server")

RETRY: Final = 2000  # milliseconds after which a client comes back
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream(Response):
    """A stream of events to one client, until either ends it."""

    media_type = "text/event-stream"

    def __init__(self, core: Core, request: Request, client: Client, who: str, last: str | None) -> None:
        super().__init__(status_code=200, headers=_HEADERS)
        del self.headers["Content-Length"]
        self._core, self._request, self._client, self._who, self._last = core, request, client, who, last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Send until the client goes, is dropped, or is told `bye`."""
        gone = asyncio.create_task(_gone(receive), name="naq-server-client")
        telling = asyncio.create_task(self._tell(send), name="naq-server-stream")
        try:
            try:
                await asyncio.wait({gone, telling}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                self._core.hub.leave(self._client, self._who)
            if not gone.done() and not telling.result():
                await gone  # nobody takes what the kernel still has of it, until it gives the connection up
        finally:
            for task in (gone, telling):
                task.cancel()
            await asyncio.gather(gone, telling, return_exceptions=True)

    async def _tell(self, send: Send) -> bool:
        """Whether all of it was taken, up to `bye`."""
        settings, client = self._core.settings, self._client
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            client.last = self._last or self._core.hub.head_id
            await self._send(send, [f"retry: {RETRY}\n\n".encode(), self._hello(), *await self._missed()])
            quiet = clock.monotonic()
            while not (reason := client.reason or await self._lapsed()):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(settings.sse_heartbeat):
                        await client.woken.wait()
                parts = client.take(self._core.hub.head_id)
                if parts or clock.monotonic() - quiet >= settings.sse_heartbeat:
                    await self._send(send, parts or [alive(client.last)])
                    quiet = clock.monotonic()
                if not client.reason:
                    await asyncio.sleep(settings.sse_step)  # what comes meanwhile is merged
            await self._send(send, [Tidings(name="bye", topics=(), data={"reason": reason}).wire(client.last)])
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return True
        except TimeoutError:  # there is nobody to say bye to
            log.info("a stream of %s ends: it took nothing for %g s", self._who, settings.sse_write)
            return False

    async def _send(self, send: Send, parts: list[bytes]) -> None:
        async with asyncio.timeout(self._core.settings.sse_write):
            await send({"type": "http.response.body", "body": b"".join(parts), "more_body": True})

    def _hello(self) -> bytes:
        hub, settings = self._core.hub, self._core.settings
        data: dict[str, Any] = {
            "server_version": __version__,
            "generation": hub.generation,
            "head_id": hub.head_id,
            "heartbeat_s": settings.sse_heartbeat,
            "topics": sorted(self._client.topics),
            "limits": {"topics": settings.sse_topics, "streams": settings.sse_clients_each},
            "parts": {one.part: one.since is None for one in (self._core.broker, self._core.database)},
        }
        return Tidings(name="hello", topics=(), data=data, id=self._last or hub.head_id).wire()

    async def _missed(self) -> list[bytes]:
        """What happened since the client was here last; or that it must begin anew, and why."""
        if self._last is None:
            return []
        try:
            reason = await self._core.hub.replay(self._client, self._last)
        except Problem as problem:
            reason = problem.kind.code
        if not reason:
            return []
        return [Tidings(name="reset", topics=(), data={"reason": reason}, id=self._core.hub.head_id).wire()]

    async def _lapsed(self) -> str:
        """Why it may not go on: its token has expired, or was revoked."""
        identity: Identity = self._request.scope["naq.identity"]
        if identity.expires_at and identity.expires_at <= clock.now():
            return "auth"
        if identity.how not in {"token", "session"}:
            return ""
        try:
            now = await self._core.identifier.identify(self._request)
        except Problem as problem:
            return "" if problem.kind.status == 503 else "auth"
        return "" if now.role is not None else "auth"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
