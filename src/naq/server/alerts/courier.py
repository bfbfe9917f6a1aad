"""Sending what is to be sent, again and again until it is taken or there were tries enough. Each try is noted.

One that was sent when its server died is sent again by the next: receivers tell by ``webhook-id``, which stays.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from naq import clock
from naq.config.server import ServerConfig
from naq.job import new_id
from naq.server.alerts import mail, rows, webhook
from naq.server.alerts.incidents import Incident
from naq.server.alerts.message import What, compose, shaped
from naq.server.alerts.rows import Channel, Delivery
from naq.server.alerts.trust import trust_of
from naq.server.alerts.webhook import Undeliverable
from naq.server.problems import Problem
from naq.server.store.rows import micros

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server.alerts")

AT_ONCE: Final = 16  # messages on their way at a time
LOOK: Final = 2.0  # seconds between two looks for what is due again
FIRST, FACTOR, LONGEST = 10.0, 3.0, 3600.0  # seconds until the second try, what each pause grows by, and the longest


def pause_after(tries: int) -> float:
    """Seconds until the next try."""
    return min(FIRST * FACTOR ** (tries - 1), LONGEST)


def make_delivery(settings: ServerConfig, channel: str, incident: Incident | None, what: What) -> Delivery:
    """A message to `channel`, to be sent now; without an incident a test."""
    now, delivery = micros(clock.now()), new_id()
    body = compose(
        what, incident, now=now, delivery=delivery, environment=settings.environment,
        address=settings.public_url.rstrip("/"),
    )  # fmt: skip
    return Delivery(
        id=delivery, incident_id=None if incident is None else incident.id, channel=channel, what=what,
        body=json.dumps(body, ensure_ascii=False), next_at=now, created_at=now,
    )  # fmt: skip


async def attempt(settings: ServerConfig, channel: Channel | None, delivery: Delivery) -> Delivery:
    """Try to send `delivery`; as it is afterwards."""
    now = clock.now()
    tries = delivery.tries + 1
    try:
        if channel is None or not channel.enabled:
            raise Undeliverable("there is no such channel any more" if channel is None else "it is off", final=True)
        said = json.loads(delivery.body)
        if channel.kind == "email":
            answer = await mail.send(settings, said, channel.addresses)
        else:
            answer = await webhook.post(
                channel.url,
                shaped(channel.form, said, key=channel.secret),
                delivery=delivery.id,
                secret=channel.secret if channel.form == "naq" else "",
                at=int(now),
                timeout=settings.webhook_timeout,
                allowed=settings.webhook_networks,
                trust=trust_of(settings.ca_file),
            )
    except Undeliverable as error:
        last = error.final or tries >= settings.delivery_tries
        log.warning(
            "a message (%s) could not be sent to %s: %s%s", delivery.what, delivery.channel, error,
            "; it is given up" if last else "",
        )  # fmt: skip
        return replace(
            delivery, tries=tries, answer=str(error), state="failed" if last else "waiting",
            next_at=micros(clock.now() + pause_after(tries)), ended_at=micros(clock.now()) if last else None,
        )  # fmt: skip
    return replace(delivery, tries=tries, answer=answer, state="sent", ended_at=micros(clock.now()))


class Courier:
    """Sends, as long as `leading` says that this server is the one that does.

    Attributes:
        woken: set when there may be something new.
        sent, failed: messages taken and given up by this process.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.woken: Final = asyncio.Event()
        self.leading = False
        self.sent = self.failed = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self.woken.clear()
            try:
                more = self.leading and await self.round()
            except Problem:  # the breaker has said so; what is due stays due
                more = False
            except Exception:  # a loop that must survive: what was not noted is sent again
                log.exception("messages could not be sent")
                more = False
            if not more:
                try:
                    async with asyncio.timeout(LOOK):
                        await self.woken.wait()
                except TimeoutError:
                    continue

    async def round(self) -> bool:
        """Send what is due; whether there was anything.

        Raises:
            Problem: the database is away.
        """
        async with self._core.reading() as connection:
            waiting = await rows.due(connection, micros(clock.now()), limit=AT_ONCE)
            channels = {one.name: one for one in await rows.find_channels(connection)} if waiting else {}
        done = await asyncio.gather(*(self._send(one, channels) for one in waiting), return_exceptions=True)
        for one in done:  # not before all have ended: what is still on its way would be sent a second time
            if one is not None:
                raise one
        return bool(waiting)

    async def _send(self, delivery: Delivery, channels: Mapping[str, Channel]) -> None:
        after = await self.send(delivery, channels.get(delivery.channel))
        async with self._core.writing() as connection:
            await rows.note_delivery(connection, after)

    async def send(self, delivery: Delivery, channel: Channel | None) -> Delivery:
        """Try once, and count what is over by it."""
        after = await attempt(self._core.settings, channel, delivery)
        self.sent += after.state == "sent"
        self.failed += after.state == "failed"
        return after
