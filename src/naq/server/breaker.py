"""Broker and database behind a circuit breaker each: who is away is not asked for a while, and that is said."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, Literal

from naq import clock
from naq.exceptions import NaqConnectionError, ResultTimeout
from naq.server.problems import Problem

log = logging.getLogger("naq.server")
Part = Literal["broker", "database"]


class Breaker:
    """Guards one part. Closed it lets everything through; open, it refuses at once; then one may try.

    Attributes:
        part: what it guards.
        since: UNIX seconds since when it cannot be reached; None: it can.
        detail: why not.
    """

    def __init__(self, part: Part, *, failures: int, wait: float, timeout: float,
                 tell: Callable[[Breaker], None] = lambda _: None) -> None:  # fmt: skip
        self.part: Final[Part] = part
        self.since: float | None = None
        self.detail = ""
        self._most, self._wait, self._timeout, self._tell = failures, wait, timeout, tell
        self._failed = 0
        self._until = 0.0
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether it refuses."""
        return self._failed >= self._most

    @asynccontextmanager
    async def guard(self, *, timeout: float | None = None) -> AsyncGenerator[None]:
        """Do what is in the block, with a deadline of `timeout` seconds (None: that of the settings).

        Raises:
            Problem: ``broker_unavailable`` or ``database_unavailable``, with ``Retry-After``.
        """
        trying = self._admit()
        try:
            async with asyncio.timeout(self._timeout if timeout is None else timeout):
                yield
        except ResultTimeout:  # an answer, and a kind of TimeoutError
            self._success()
            raise
        except (NaqConnectionError, TimeoutError) as error:
            self._failure(str(error) or "it did not answer in time")
            raise self.problem() from error
        except Exception:  # it answered, though not what was wanted
            self._success()
            raise
        else:
            self._success()
        finally:
            if trying:
                self._trying = False

    def mark_away(self, detail: str) -> None:
        """It is known to be away; who asks may try again after the usual time."""
        self._failed = self._most - 1
        self._failure(detail)

    def mark_back(self) -> None:
        """It is known to be there."""
        self._success()

    def _admit(self) -> bool:
        if not self.is_open:
            return False
        if clock.monotonic() < self._until or self._trying:
            raise self.problem()
        self._trying = True
        return True

    def _failure(self, detail: str) -> None:
        self._failed += 1
        self.detail = detail
        self._until = clock.monotonic() + self._wait
        if self.since is None and self.is_open:
            self.since = clock.now()
            log.warning("the %s cannot be reached: %s", self.part, detail)
            self._tell(self)

    def _success(self) -> None:
        self._failed = 0
        if self.since is not None:
            log.warning("the %s can be reached again, after %.1f s", self.part, clock.now() - self.since)
            self.since, self.detail = None, ""
            self._tell(self)

    def problem(self) -> Problem:
        """What is said to who asks."""
        left = max(1, math.ceil(self._until - clock.monotonic()))
        since = {} if self.since is None else {"since": clock.as_datetime(self.since).isoformat()}
        return Problem(
            "broker_unavailable" if self.part == "broker" else "database_unavailable",
            f"the {self.part} cannot be reached: {self.detail}",
            params={"part": self.part, **since},
            headers={"Retry-After": str(left)},
        )
