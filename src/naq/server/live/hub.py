"""Reads the broker's event log once, and tells all who watch; ids are the log's, so any server goes on for any."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import Counter, deque
from typing import TYPE_CHECKING, Any, Final

from naq import clock
from naq.backends.base import Backend
from naq.exceptions import NaqException
from naq.server.breaker import Breaker
from naq.server.filters import Filter
from naq.server.live.client import Client
from naq.server.live.matching import Matching
from naq.server.live.polling import Polling
from naq.server.live.tidings import Tidings, of_event
from naq.server.problems import Problem

if TYPE_CHECKING:
    from naq.server.core import Core

log = logging.getLogger("naq.server")

PAGE: Final = 1000  # events read at once
WAIT: Final = 5.0  # seconds of one question to the broker
AGAIN: Final = 0.5  # seconds after one that failed
LOOK: Final = 1.0  # seconds at least between two looks at whether the log is the same: restarts are quick


class Hub:
    """All who watch, and what they are told.

    Attributes:
        generation: of the log; ids of another one mean nothing.
        head: the last event's place.
    """

    def __init__(self, core: Core) -> None:
        self._core = core
        self.generation = ""
        self.head = "0"
        self._clients: set[Client] = set()
        self._each: Counter[str] = Counter()
        self._by_topic: dict[str, set[Client]] = {}
        self._matching: dict[str, Matching] = {}
        self._kept: deque[tuple[int, Tidings]] = deque(maxlen=core.settings.sse_log)
        self._begun: int | None = None  # the place that `_kept` begins behind
        self._polling: Final = Polling(core, self)
        self._reading: asyncio.Task[None] | None = None
        core.told.append(self._tell_status)

    @property
    def count(self) -> int:
        """How many watch."""
        return len(self._clients)

    async def join(
        self, topics: frozenset[str], wanted: Filter | None, who: str, *, queues: frozenset[str] | None = None
    ) -> Client:
        """Let somebody watch; of what is of a queue, only `queues` (None: all).

        Raises:
            Problem: there are too many, in all or of `who`; or the broker cannot be reached at the first one.
        """
        settings = self._core.settings
        if len(self._clients) >= settings.sse_clients:
            raise Problem("streams_full", headers={"Retry-After": "10"}, params={"limit": settings.sse_clients})
        if self._each[who] >= settings.sse_clients_each:
            raise Problem(
                "too_many_streams", params={"limit": settings.sse_clients_each}, headers={"Retry-After": "10"}
            )
        self._each[who] += 1  # before the first wait, so that many at once are counted
        try:
            await self._begin()
        except BaseException:
            self._each[who] -= 1
            raise
        client = Client(topics, self._watch(topics, wanted), settings.sse_buffer, queues)
        self._clients.add(client)
        for topic in topics:
            self._by_topic.setdefault(topic, set()).add(client)
        self._polling.begin()
        return client

    def leave(self, client: Client, who: str) -> None:
        """They have gone."""
        self._clients.discard(client)
        self._each[who] -= 1
        if self._each[who] <= 0:
            del self._each[who]
        for topic in client.topics:
            if (there := self._by_topic.get(topic)) is not None:
                there.discard(client)
                if not there:
                    del self._by_topic[topic]
        for key, matching in list(self._matching.items()):
            if client.watches(matching):
                matching.watchers -= 1
                if not matching.watchers:
                    del self._matching[key]

    def end_all(self, reason: str) -> None:
        """Everybody ends, with the reason."""
        for client in list(self._clients):
            client.end(reason)

    def watched(self, topic: str) -> bool:
        """Whether anybody watches this."""
        return topic in self._by_topic

    def tell(self, tidings: Tidings) -> None:
        """Tell whoever asked for any of its topics."""
        about = tidings.about
        if about is not None:
            for matching in self._matching.values():
                if matching.see(about):
                    self._wake(matching)
        heard: set[Client] = set()
        for topic in tidings.topics:
            if topic == "jobs" and about is not None:
                continue  # who watches all of them is told how many, not each
            for client in self._by_topic.get(topic, ()):
                if client not in heard:
                    heard.add(client)
                    client.offer(tidings)

    def _wake(self, matching: Matching) -> None:
        for client in self._by_topic.get("jobs", ()):
            if not client.woken.is_set() and client.watches(matching):
                client.woken.set()

    def _watch(self, topics: frozenset[str], wanted: Filter | None) -> Matching | None:
        if "jobs" not in topics:
            return None
        wanted = wanted or Filter((), "")
        matching = self._matching.setdefault(wanted.text, Matching(wanted))
        matching.watchers += 1
        return matching

    async def replay(self, client: Client, last: str) -> str:
        """Tell what was missed since the id `last`; why that cannot be, where it cannot.

        Raises:
            Problem: the broker cannot be reached.
        """
        generation, _, text = last.rpartition("-")
        if generation != self.generation or not text.isdecimal() or len(text) > 19:
            return "generation"
        place, most = int(text), self._core.settings.sse_replay
        if place > int(self.head):
            return "generation"
        if self._begun is not None and place >= self._begun:
            missed = [one for at, one in self._kept if at > place]
        else:
            async with self._core.asking() as backend:
                standing = await backend.standing(text)
                if standing.missed or not standing.known:
                    return "too_old"
                if standing.ahead > most * 4:  # of which many are of no topic
                    return "too_old"
                found = await backend.read(after=text, limit=most * 4)
            told = [of_event(self._core.config, event, self._id(at)) for at, event in found]
            missed = [one for one in told if one is not None]
        mine = [one for one in missed if client.topics.intersection(one.topics) - {"jobs"}]
        if len(mine) > most:
            return "too_old"
        for one in mine:
            client.offer(one)
        return ""

    async def _begin(self) -> None:
        """Read the log from now on, if nobody does yet."""
        if self._reading is not None and not self._reading.done():
            return
        async with self._core.asking() as backend:
            head = await backend.latest()
            standing = await backend.standing(head)
        if self._reading is not None and not self._reading.done():
            return  # another one was faster
        self.generation = _generation(standing.log)
        self.head = head or "0"
        self._begun = int(self.head)
        self._kept.clear()
        self._reading = self._core.spawn(self._read(), "events")

    def _id(self, place: str) -> str:
        return f"{self.generation}-{place}"

    @property
    def head_id(self) -> str:
        """The id of the last event."""
        return self._id(self.head)

    async def _read(self) -> None:
        """Read on, as long as the server runs and anybody watches; then the next one begins anew."""
        quiet_since = looked = clock.monotonic()
        while True:
            if self._clients:
                quiet_since = clock.monotonic()
            elif clock.monotonic() - quiet_since > self._core.settings.sse_heartbeat * 4:
                return
            try:
                async with self._core.asking(timeout=WAIT + self._core.settings.request_timeout) as backend:
                    if clock.monotonic() - looked > LOOK:
                        await self._check(backend)
                        looked = clock.monotonic()
                    found = await backend.read(after=self.head, limit=PAGE, wait=WAIT)
            except (Problem, NaqException):
                await asyncio.sleep(AGAIN)
                continue
            for place, event in found:
                self.head = place
                tidings = of_event(self._core.config, event, self._id(place))
                if tidings is not None:
                    self._keep(int(place), tidings)
                    self.tell(tidings)
            await asyncio.sleep(0)  # a burst must not keep requests waiting

    async def _check(self, backend: Backend) -> None:
        """Whether the broker's log is the one that it was: it may have lost its disk. Else everybody begins anew."""
        standing = await backend.standing(self.head)
        generation = _generation(standing.log)
        if generation == self.generation and standing.known:
            return
        self.generation, self.head = generation, await backend.latest() or "0"
        self._begun = int(self.head)
        self._kept.clear()
        data = {"reason": "generation", "detail": "the broker's log is another one"}
        for client in self._clients:
            client.offer(Tidings(name="reset", topics=(), entity="reset", data=data, id=self.head_id))

    def _keep(self, place: int, tidings: Tidings) -> None:
        if len(self._kept) == self._kept.maxlen:
            self._begun = self._kept[0][0]
        self._kept.append((place, tidings))

    def _tell_status(self, breaker: Breaker) -> None:
        data: dict[str, Any] = {"part": breaker.part, "ok": breaker.since is None, "detail": breaker.detail}
        if breaker.since is not None:
            data["since"] = clock.as_datetime(breaker.since).isoformat()
        tidings = Tidings(name="server.status", topics=(), entity=f"status {breaker.part}", data=data)
        for client in self._clients:
            client.offer(tidings)


def _generation(log_id: str) -> str:
    """What ids of a log begin with: short, and without characters that an id may not have."""
    return hashlib.blake2b(log_id.encode(), digest_size=5).hexdigest()
