"""The Redis database the peers share, one at a time: empty before and after, and never somebody else's."""

from __future__ import annotations

import redis

from benchmarks.settings import REDIS_DATABASE, redis_url

MARKER = "naq-bench"  # says that the database is ours to empty


def clean() -> None:
    """Empty our database, and mark it as ours."""
    wipe()
    with redis.Redis.from_url(redis_url()) as client:
        client.set(MARKER, "1")


def wipe() -> None:
    """Leave nothing in our database.

    Raises:
        RuntimeError: it holds keys and not our marker, so it is not ours.
    """
    with redis.Redis.from_url(redis_url()) as client:
        if client.dbsize() and not client.exists(MARKER):
            raise RuntimeError(f"Redis database {REDIS_DATABASE} holds foreign keys; the benchmarks will not empty it")
        client.set(MARKER, "1")  # should the next call be cut short, the rest is still known as ours
        client.flushdb()


def count(pattern: str) -> int:
    """How many keys match."""
    with redis.Redis.from_url(redis_url()) as client:
        return sum(1 for _ in client.scan_iter(match=pattern, count=10_000))
