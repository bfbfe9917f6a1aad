"""What a backend's author provides, so that the suite can run against it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Protocol, cast

from naq.backends.base import Backend, Signal


class Harness(Protocol):
    """A running store, and how to reach it. One may serve all tests: each uses names and ids of its own.

    Plain attributes will do for `lease` and `slack`.
    """

    @property
    def lease(self) -> float:
        """Seconds; the shortest lease that the backend keeps well. Tests in which a lease lapses use it."""
        ...

    @property
    def slack(self) -> float:
        """Seconds by which a lapsed lease, a due timer or an expired entry may be noticed late."""
        ...

    def connect(self, lease: float) -> Backend:
        """A new instance, not opened, on the same store each time; called from any thread.

        `lease` is what the test will pass to every `fetch` and `extend`, for backends that fix it beforehand.
        """
        ...

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: ``asyncio.sleep`` where time is real."""
        ...


class Deaf:
    """A harness whose backends lose every signal. The whole suite must pass on it too."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness

    @property
    def lease(self) -> float:
        """As the harness says."""
        return self._harness.lease

    @property
    def slack(self) -> float:
        """As the harness says."""
        return self._harness.slack

    def connect(self, lease: float) -> Backend:
        """A backend of the harness, without its signals."""
        return cast("Backend", _DeafBackend(self._harness.connect(lease)))

    async def advance(self, seconds: float) -> None:
        """As the harness does."""
        await self._harness.advance(seconds)


class _DeafBackend:
    """Everything of `inner`, except that nothing is heard of what is sent."""

    def __init__(self, inner: Backend) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def send(self, signal: Signal) -> None:
        """Send `signal` to nobody who listens."""
        await self._inner.send(signal)

    async def listen(self) -> AsyncIterator[Signal]:
        """Hear nothing."""
        return
        yield
