"""``naq jobs why``: what keeps a job from running, and what to type next."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct
from msgspec.structs import asdict

from naq.cli.common import DEFAULT, Common, ask
from naq.cli.errors import NotFoundError
from naq.cli.output import ago, moment, print_item
from naq.exceptions import JobNotFoundError
from naq.job import JobState
from naq.limits.why import Cause, Why, explain


class WhyView(Struct, frozen=True, kw_only=True):
    """Why a job does not run: ``naq jobs why``. `earliest` is null where nobody knows when it can."""

    id: str
    state: JobState
    queue: str
    task: str
    cause: Cause
    text: str
    earliest: datetime | None
    command: str
    key: str
    expires_at: datetime | None

    @classmethod
    def of(cls, why: Why) -> WhyView:
        """`why` as it is printed."""
        said = asdict(why)
        times = {name: moment(said.pop(name)) for name in ("earliest", "expires_at")}
        return cls(id=said.pop("job_id"), **times, **said)


def why(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """Say what keeps a job from running, the earliest time it can, and what to type next.

    Example: naq jobs why 01JC4N9W2V

    Args:
        job_id: The job.
    """
    try:
        found = WhyView.of(ask(common, lambda backend: explain(backend, job_id)))
    except JobNotFoundError as error:
        raise NotFoundError(f"{error}; see naq jobs list") from None
    print_item(found, _lines(found, common), common, name="cause")


def _lines(found: WhyView, common: Common) -> Iterator[tuple[str, str]]:
    yield "job", f"{found.id} is {found.state}" + (f" in queue {found.queue}" if found.queue else "")
    yield "why", found.text
    yield "earliest", ago(found.earliest, common)
    yield "expires", ago(found.expires_at, common)
    yield "next", found.command
    yield "key", found.key
