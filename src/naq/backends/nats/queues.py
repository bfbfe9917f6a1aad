"""What people do to a queue: pause, resume, limit, count; and how full the broker is."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from naq.backends.base import QueueStats, Storage
from naq.backends.nats.client.errors import CONSUMER_NOT_FOUND
from naq.backends.nats.early import Early
from naq.backends.nats.subjects import ALL_LANES, consumer
from naq.backends.nats.topology import MAX_ACK_PENDING, ensure_lane
from naq.exceptions import ConfigurationError
from naq.names import check_token, is_token

FOR_EVER: Final = datetime(2199, 1, 1, tzinfo=UTC).isoformat().replace("+00:00", "Z")  # the API wants an end


class Queues(Early):
    """`JobAdmin.pause`, `resume`, `limit`, `stats` and `storage`."""

    async def pause(self, queue: str) -> None:
        """Let the broker hold delivery back; it survives restarts and needs no flag that workers poll."""
        await self._for_lanes(queue, "PAUSE", {"pause_until": FOR_EVER})

    async def resume(self, queue: str) -> None:
        """End a pause."""
        await self._for_lanes(queue, "PAUSE", {})

    async def _for_lanes(self, queue: str, verb: str, body: dict[str, Any]) -> None:
        self.must_be_open()
        check_token("queue", queue)
        await self.know(queue)
        await asyncio.gather(*(
            self.js.call(f"CONSUMER.{verb}.{self.subjects.jobs}.{consumer(queue, priority)}", body)
            for priority in ALL_LANES
        ))  # fmt: skip
        # A pause: what waits at workers goes back. Its end: the broker takes seconds to notice standing pulls.
        await self.recall(queue)

    async def limit(self, queue: str, concurrency: int | None) -> None:
        """Cap a queue in the whole fleet by its consumers' `max_ack_pending`, enforced by the broker.

        The broker counts each priority by itself: a queue that uses several has the cap in each of them.
        """
        self.must_be_open()
        check_token("queue", queue)
        if concurrency is not None and concurrency < 1:
            raise ConfigurationError(
                f"a limit of {concurrency} is no limit: 1 or more, None for none, or pause the queue"
            )
        await self.know(queue)
        most = MAX_ACK_PENDING if concurrency is None else concurrency
        for priority in ALL_LANES:
            info = await self._info(queue, priority)
            if info is None:  # an operator deleted it a moment ago
                await ensure_lane(self.js, self.config, self.subjects, queue, priority)
                info = await self._info(queue, priority)
            if info is not None and info["config"]["max_ack_pending"] != most:
                # All else stays as it is: the fleet's lease, and a pause.
                body = {
                    "stream_name": self.subjects.jobs,
                    "config": info["config"] | {"max_ack_pending": most},
                    "action": "update",
                }
                name = consumer(queue, priority)
                await self.js.call(f"CONSUMER.DURABLE.CREATE.{self.subjects.jobs}.{name}", body)

    async def stats(self, queues: Sequence[str] = ()) -> list[QueueStats]:
        """Counts by queue; see `JobAdmin.stats`."""
        self.must_be_open()
        return list(await asyncio.gather(*(self._stats(q) for q in queues or await self.queue_names())))

    async def storage(self) -> list[Storage]:
        """What JetStream says of our account and of each of our streams.

        An account without a limit of its own still has the server's, which only an account of the system may ask for.
        """
        self.must_be_open()
        account = await self.js.call("INFO")
        kept = self.subjects
        infos = await asyncio.gather(
            *(self.js.call(f"STREAM.INFO.{name}") for name in (kept.jobs, kept.log, kept.dead, kept.state))
        )
        parts = [
            Storage(part=str(info["config"]["name"]), used=int(info["state"]["bytes"]),
                    limit=_limit(info["config"].get("max_bytes")))
            for info in infos
        ]  # fmt: skip
        return [_fullest(account), *parts]

    async def queue_names(self) -> list[str]:
        """Every queue that has lanes."""
        names: list[str] = []
        while True:
            page = await self.js.call(f"CONSUMER.NAMES.{self.subjects.jobs}", {"offset": len(names)})
            found: list[str] = page.get("consumers") or []
            names += found
            if not found or len(names) >= int(page["total"]):
                break
        return sorted({name[:-2] for name in names if name[-2:] in {"_h", "_n", "_l"} and is_token(name[:-2])})

    async def _stats(self, queue: str) -> QueueStats:
        check_token("queue", queue)
        infos = [info for priority in ALL_LANES if (info := await self._info(queue, priority)) is not None]
        caps = [int(info["config"]["max_ack_pending"]) for info in infos]
        return QueueStats(
            queue,
            queued=sum(int(info["num_pending"]) for info in infos),
            running=sum(int(info["num_ack_pending"]) for info in infos),
            scheduled=await self.js.count(self.subjects.jobs, self.subjects.timers(queue)),
            paused=any(info.get("paused", False) for info in infos),
            limit=max(caps) if caps and MAX_ACK_PENDING not in caps else None,
            blocked=await self.js.count(self.subjects.jobs, self.subjects.unfinished(queue, blocked=True)),
        )

    async def _info(self, queue: str, priority: Any) -> dict[str, Any] | None:
        name = consumer(queue, priority)
        return await self.js.try_call(f"CONSUMER.INFO.{self.subjects.jobs}.{name}", absent=CONSUMER_NOT_FOUND)


def _fullest(account: dict[str, Any]) -> Storage:
    """What an account may hold on disk; where its limits are by the number of copies, the one that is nearest."""
    tiers = account.get("tiers") or {"": account}
    found = [
        Storage(used=int(one.get("storage", 0)), limit=_limit(one.get("limits", {}).get("max_storage")))
        for one in tiers.values()
    ]
    return max(found, key=lambda one: (one.used / one.limit if one.limit else 0.0, one.used))


def _limit(said: int | None) -> int | None:
    return int(said) if said is not None and int(said) > 0 else None
