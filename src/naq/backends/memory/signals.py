"""Hints between the instances of a store."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from math import inf
from typing import Final

from naq.backends.base import Signal
from naq.backends.memory.instance import Instance
from naq.backends.memory.wake import Sleeper
from naq.names import check_token

_BACKLOG: Final = 1000  # signals a listener may be behind before the oldest are dropped: they are hints


class Listener:
    """The signals sent since it was made; ends when it is closed, or its instance is."""

    def __init__(self, instance: SignalPart) -> None:
        self._instance = instance
        self._heard: deque[Signal] = deque(maxlen=_BACKLOG)
        self._sleeper = Sleeper()
        self._closed = False

    def hear(self, signal: Signal) -> None:
        """Take `signal` in; called under the store's lock, from any thread."""
        self._heard.append(signal)
        self._sleeper.wake()

    def __aiter__(self) -> AsyncIterator[Signal]:
        return self

    async def __anext__(self) -> Signal:
        while not self._closed and self._instance.listening(self._sleeper):
            if self._heard:
                return self._heard.popleft()
            self._sleeper.arm(inf)
            if not self._heard:
                await self._sleeper.sleep(inf)
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End it; who waits for the next signal gets the end."""
        self._closed = True
        self._sleeper.wake()


class SignalPart(Instance):
    """`Signals`."""

    async def send(self, signal: Signal) -> None:
        """Tell whoever listens."""
        self._check_open()
        check_token("subject of a signal", signal.subject)
        with self._store.lock:
            for listener in self._store.listeners:
                listener.hear(signal)

    def listen(self) -> AsyncIterator[Signal]:
        """Signals from now on."""
        self._check_open()
        listener = Listener(self)
        with self._store.lock:
            self._store.listeners.add(listener)
        return listener

    def listening(self, sleeper: Sleeper) -> bool:
        """Whether this instance is open; if so, closing it will wake `sleeper`."""
        with self._store.lock:
            if self._open:
                self._asleep.add(sleeper)
            return self._open
