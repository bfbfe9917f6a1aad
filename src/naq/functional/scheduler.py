"""A scheduler by itself: one process, or several of which one leads, that keeps schedules going without any worker."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from typing import TYPE_CHECKING, Final

from naq.backends import from_url
from naq.config import Config
from naq.config.fields import hide_credentials
from naq.connections import settings
from naq.exceptions import ConfigurationError, NaqException
from naq.names import MAX_TOKEN, check_token
from naq.worker.connecting import connected
from naq.worker.leading import RENEW, SCHEDULER, Leading
from naq.worker.timekeeper import POLL, Timekeeper, declaring

if TYPE_CHECKING:
    from naq.app import Naq
    from naq.worker.service import Service

log = logging.getLogger("naq.scheduler")


class Scheduler:
    """Keeps the next jobs of every schedule in the broker, until it is stopped. One scheduler, one `run`.

    Workers do this by themselves; it is for those who want it apart. Any number may run beside each other and beside
    workers: one leads, and when it dies another follows within 20 s (two leases), during which nothing is late, because
    the jobs of the next 30 s at least are in the broker already.

    Args:
        nats_url: the broker; default: the setting `broker_url`.
        poll_interval: seconds between two looks at all schedules, 1 to 20; default 10. What is made or changed through
            naq takes effect at once, whatever this is.
        instance_id: who it is, among schedulers; default: the host's name and some digits.
        enable_ha: whether it leads only while no other does. Without, it acts in any case, which does no harm.
        app: bring the schedules that this app declares in line first, and take its settings.

    Raises:
        ConfigurationError: a value that cannot be.
    """

    def __init__(
        self,
        nats_url: str | None = None,
        poll_interval: float = POLL,
        instance_id: str | None = None,
        enable_ha: bool = True,
        *,
        app: Naq | None = None,
    ) -> None:
        if app is not None and nats_url is not None:
            raise ConfigurationError("Scheduler: app and nats_url both say where jobs live; give one of them")
        if isinstance(poll_interval, bool) or not 1 <= poll_interval <= 2 * POLL:
            raise ConfigurationError(
                f"poll_interval is {poll_interval!r}; expected 1 to {2 * POLL:.0f} seconds: jobs are in the broker for"
                " 30 s ahead, so it must look again before that"
            )
        self._config: Final = settings(nats_url) if app is None else app.config
        self._app: Final = app
        self._poll: Final = float(poll_interval)
        self.instance_id: Final = _own_id() if instance_id is None else check_token("instance id", instance_id)
        self._ha: Final = enable_ha
        self._stop = asyncio.Event()
        self._leading: Leading | None = None
        self._ran = False
        self._running = False

    @property
    def config(self) -> Config:
        """The settings in force."""
        return self._config

    @property
    def is_leader(self) -> bool:
        """Whether it is the one that acts right now; always, while it runs, without `enable_ha`."""
        if not self._running:
            return False
        return self._leading is None or self._leading.leads(SCHEDULER)

    def stop(self) -> None:
        """Return from `run`, and let another lead at once. Only on its event loop."""
        self._stop.set()

    async def run(self) -> None:
        """Keep schedules going until `stop`. A broker that is away is waited for.

        Raises:
            NaqException: it has run already.
            ConfigurationError, BrokerTooOld: the backend refuses the settings, or lacks what naq needs.
        """
        if self._ran:
            raise NaqException("this scheduler has run already; make another")
        self._ran = True
        backend = from_url(self._config)
        keeping: Service = Timekeeper(backend, self._config, poll=self._poll)
        if self._ha:
            duties = {SCHEDULER: [keeping]}
            keeping = self._leading = Leading(backend, self.instance_id, duties, renew=min(RENEW, self._poll))
        services = [keeping] if self._app is None else [keeping, declaring(backend, self._config, self._app)]
        url = hide_credentials(self._config.broker_url)
        async with connected(backend, self._stop, url=url) as is_open:
            if not is_open:
                return
            log.info("scheduler %s keeps the schedules at %s", self.instance_id, url)
            self._running = True
            try:
                for service in services:
                    service.start()
                await self._stop.wait()
            finally:
                self._running = False
                for service in services:
                    await service.stop()


def _own_id() -> str:
    host = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname().partition(".")[0])
    return f"scheduler-{host[: MAX_TOKEN // 2] or 'host'}-{secrets.token_hex(3)}"
