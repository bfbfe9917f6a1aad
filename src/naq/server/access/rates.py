"""How often somebody may ask: moving windows in memory, one policy a kind of request."""

from __future__ import annotations

import math
from typing import Final, Literal

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from msgspec import Struct

from naq.config.server import ServerConfig, read_rate
from naq.server.problems import Problem

Policy = Literal["default", "login", "enqueue", "bulk"]


class Left(Struct, frozen=True):
    """What is left of a rate: `remaining` of `most`, all again in `reset` seconds."""

    policy: str
    most: int
    window: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """As the IETF's draft has them."""
        return {
            "RateLimit-Policy": f'"{self.policy}";q={self.most};w={self.window}',
            "RateLimit": f'"{self.policy}";r={self.remaining};t={self.reset}',
        }


class Rates:
    """The rates of one server."""

    def __init__(self, settings: ServerConfig) -> None:
        self._limiter: Final = MovingWindowRateLimiter(MemoryStorage())
        self._items: Final[dict[Policy, RateLimitItem]] = {
            "default": _item(settings.rate),
            "login": _item(settings.rate_login),
            "enqueue": _item(settings.rate_enqueue),
            "bulk": _item(settings.rate_bulk),
        }

    async def hit(self, policy: Policy, key: str) -> Left:
        """Count one request of `key`.

        Raises:
            Problem: ``too_many_requests``, with ``Retry-After``.
        """
        import time

        item = self._items[policy]
        allowed = await self._limiter.hit(item, policy, key)
        reset, remaining = await self._limiter.get_window_stats(item, policy, key)
        left = Left(
            policy, item.amount, item.get_expiry(), max(0, int(remaining)), max(0, math.ceil(reset - time.time()))
        )
        if not allowed:
            raise Problem(
                "too_many_requests",
                f"more than {item.amount} in {item.get_expiry()} s ({policy})",
                params={"policy": policy, "limit": item.amount, "window_s": item.get_expiry()},
                headers={**left.headers(), "Retry-After": str(max(1, left.reset))},
            )
        return left


def _item(text: str) -> RateLimitItem:
    amount, seconds = read_rate(text)
    return RateLimitItemPerSecond(amount, math.ceil(seconds))
