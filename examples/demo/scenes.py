"""The five jobs of the demo, and how each is expected to end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from naq import Job, JobRecord, JobState
from naq.dev.shop import Invoice, Order, ask_for_review, charge, make_invoice, send_mail, ship

ORDER = Order(number=1001, customer="Ada", cents=4950, placed=date(2030, 5, 17))
REVIEW_AFTER = 2.5  # seconds


@dataclass(frozen=True)
class Scene:
    """A job: how it is enqueued, and the state, attempt and result or error it has to end with.

    `tries` is how many attempts its task allows, `delay` the seconds for which it has to wait.
    """

    name: str
    about: str
    enqueue: Callable[[], Awaitable[Job[Any]]]
    ends: JobState = JobState.SUCCEEDED
    attempt: int = 1
    tries: int = 1
    result: object = None
    error: str = ""
    delay: float = 0.0

    def wrong(self, record: JobRecord, result: object) -> str:
        """What is not as expected, in words; empty where all is."""
        if record.state is not self.ends:
            return f"ended as {record.state}, expected {self.ends}"
        if record.attempt != self.attempt:
            return f"took {record.attempt} attempts, expected {self.attempt}"
        if result != self.result:
            return f"returned {result!r}, expected {self.result!r}"
        error = record.error.type.rpartition(".")[2] if record.error and self.error else ""
        if error != self.error:
            return f"failed with {error or 'nothing'}, expected {self.error}"
        early = self.delay - (record.started_at - record.enqueued_at)
        return f"started {early:.3f} s too early" if self.delay and early > 0 else ""


SCENES = [
    Scene(
        "mail",
        "an async task",
        lambda: send_mail.enqueue("ada@example.com", text="Thank you!"),
        result="10 letters sent to ada@example.com",
    ),
    Scene(
        "invoice",
        "a sync task, typed in and out",
        lambda: make_invoice.enqueue(ORDER),
        result=Invoice(1001, 4950, date(2030, 5, 31)),
    ),
    Scene("charge", "fails twice, recovers", lambda: charge.enqueue(ORDER), attempt=3, tries=5, result="49.50 charged"),
    Scene(
        "ship",
        "fails for good",
        lambda: ship.enqueue(ORDER),
        ends=JobState.FAILED,
        attempt=2,
        tries=2,
        error="NoSuchAddress",
    ),
    Scene(
        "review",
        f"delayed by {REVIEW_AFTER:g} s",
        lambda: ask_for_review.options(delay=REVIEW_AFTER).enqueue("Ada"),
        result="Ada was asked",
        delay=REVIEW_AFTER,
    ),
]
