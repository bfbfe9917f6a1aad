"""Asking every worker for the jobs back that it was handed and has not taken: nobody runs them, so they still wait.

A hint over core NATS, as all between processes: a worker that does not hear it hands them back by itself, a moment
later (`fetch`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from naq.backends.nats.client.courier import HEARD
from naq.backends.nats.client.lane import Lane
from naq.backends.nats.fetch import Fetch

PATIENCE: Final = 0.1  # seconds in which workers say that they have heard; a round trip takes one or two ms


class Recall(Fetch):
    """For what is done to a queue: pause, resume, purge."""

    def on_joined(self, queue: str) -> None:
        """Give back, and ask anew, whenever something has changed about `queue`; look twice at what is cancelled."""
        super().on_joined(queue)
        lanes = self.puller.lanes[queue]

        def on_recall(_subject: bytes, reply: bytes, _payload: bytes, _header: bytes) -> None:
            self.spawn(self._give_back(lanes, reply))

        def on_cancel(_subject: bytes, _reply: bytes, _payload: bytes, _header: bytes) -> None:
            for lane in lanes:
                lane.doubt()

        self.link.listen(self.subjects.recall(queue), on_recall)
        self.link.listen(self.subjects.signal("cancel", "*"), on_cancel)

    async def recall(self, queue: str) -> None:
        """Have every worker hand back what it has not taken of `queue`, and ask anew."""
        await asyncio.gather(
            self._give_back(self.puller.lanes.get(queue, [])),  # our own to the end, however long it takes
            self.courier.gather(self.subjects.recall(queue), PATIENCE, self.config.publish_timeout),
        )

    async def _give_back(self, lanes: Sequence[Lane], reply: bytes = b"") -> None:
        if reply:
            self.settle(reply, HEARD)
        for lane in lanes:
            lane.withdraw()
            # What was there may be gone: slots that are kept for it would be missing elsewhere, for as long as a pull.
            lane.backlog = 0
        await self.link.flush()  # now all that was on its way is here
        held = [lane.buffer.popleft()[1] for lane in lanes for _ in range(len(lane.buffer))]
        await asyncio.gather(*(self.hand_back(delivered) for delivered in held))
        self.puller.arrived()
        if reply:
            self.settle(reply, b"")
