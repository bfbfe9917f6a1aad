"""Dead letters: what failed for good and what never was a job; looked at, and run again."""

from __future__ import annotations

from typing import Literal

from msgspec.structs import replace

from naq.backends.base import DeadLetter
from naq.backends.nats import messages
from naq.backends.nats.api import Message
from naq.backends.nats.client.errors import Conflict
from naq.backends.nats.queues import Queues
from naq.backends.nats.subjects import NO_KEY
from naq.job import Priority
from naq.names import check_token, is_token

PRIORITY = "Naq-Priority"


class Letters(Queues):
    """`JobAdmin.dead` and `requeue`."""

    async def dead(self, *, limit: int = 100) -> list[DeadLetter]:
        """The newest dead letters; see `JobAdmin.dead`."""
        self.must_be_open()
        info = await self.js.call(f"STREAM.INFO.{self.subjects.dead}")
        last, first = int(info["state"]["last_seq"]), int(info["state"]["first_seq"])
        span, found = limit, list[Message]()
        # From the end backwards in growing steps: the API reads forwards only, and old letters leave gaps.
        while True:
            after = max(last - span, 0)
            found = [m async for m in self.js.walk(self.subjects.dead, f"{self.subjects.prefix}.d.>", after=after)]
            if len(found) >= limit or after <= first:
                break
            span *= 4
        return [read_letter(message) for message in reversed(found[-limit:])] if limit > 0 else []

    async def requeue(self, job_id: str, *, payload: bytes | None = None) -> bool:
        """Run a dead job again, as a new run; see `JobAdmin.requeue`."""
        self.must_be_open()
        check_token("job id", job_id)
        letter = await self.js.last(self.subjects.dead, self.subjects.dead_jobs(job_id))
        if letter is None:
            return False
        queue = letter.subject.split(".")[4]
        said = letter.headers.get(PRIORITY, "normal")
        priority: Priority = "high" if said == "high" else "low" if said == "low" else "normal"
        dead = messages.job_from(job_id, queue, priority, letter.data, letter.headers, _key(letter.headers))
        known = await self.record_of(job_id)
        run = max(dead.run, known.run if known is not None else 0) + 1
        headers = {k: v for k, v in (dead.headers or {}).items() if k != PRIORITY}
        if payload is not None:
            dead = replace(dead, payload=payload)
        job = replace(dead, run=run, attempt=1, reason="", fresh=False, headers=headers or None)
        lines = f"{messages.EXPECT}: 0\r\n{messages.EXPECT_ON}: {self.subjects.any_of(job_id)}\r\n" + messages.describe(
            job
        )
        await self.know(queue)
        subject = self.subjects.ready(queue, priority, job_id, job.key).encode()
        while True:
            try:
                await self.courier.publish(
                    subject, job.payload, messages.block(lines), timeout=self.config.publish_timeout
                )
            except Conflict as conflict:
                if conflict.first_try:
                    if await self._remove_leftover(job_id, run):
                        continue
                    return False  # it is in line already: somebody else was quicker
            await self.js.delete(self.subjects.dead, letter.sequence)
            return True

    async def _remove_leftover(self, job_id: str, run: int) -> bool:
        """Whether what stands in the way of run `run` was only a run before it, whose ack is still on its way."""
        place = await self.place(job_id)
        if place is None:
            return True
        if place.job.run >= run:
            return False
        await self.js.delete(self.subjects.jobs, place.message.sequence)
        return True


def _key(headers: dict[str, str]) -> str:
    """The unique key of a dead letter's job; anybody may have written it."""
    key = headers.get(messages.KEY, "")
    return key if is_token(key) and key != NO_KEY else ""


def read_letter(message: Message) -> DeadLetter:
    """The dead letter in a message of the stream of dead letters."""
    words = message.subject.split(".")
    kind: Literal["failed", "malformed"] = "failed" if words[3] == "failed" else "malformed"
    headers = {k: v for k, v in message.headers.items() if not k.startswith("Nats-")}
    return DeadLetter(
        id=words[5], kind=kind, queue=words[4], reason=headers.get(messages.REASON, ""),
        payload=message.data, headers=headers, at=messages.stored_at(message.time),
    )  # fmt: skip
