"""Tokens that are for some queues: what such a token may see and do, decided in one place.

Every route says how it heeds that (`Heeds`). One that says nothing is of the whole cluster, and refused; one that says
that it looks itself, and did not, is a defect, and refused as well (`naq.server.api.gate`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from sqlalchemy import select

from naq.server.access.roles import Identity
from naq.server.problems import Problem
from naq.server.store.tables import jobs

if TYPE_CHECKING:
    from naq.server.core import Core
    from naq.server.filters import Filter

Heeds = Literal["cluster", "nothing", "job", "queue", "letter", "itself"]
#: How a route heeds the queues of a token, as the document says it.
MEANING: Final[dict[Heeds, str]] = {
    "cluster": "of the whole cluster: refused to a token that is for some queues",
    "nothing": "of no queue: the same for everybody",
    "job": "of one job, which must be of the token's queues",
    "queue": "of one queue, which must be among them",
    "letter": "of one dead letter, which must be of them",
    "itself": "shows and does what is of them, as if there were nothing else",
}


def may(identity: Identity, queue: str) -> bool:
    """Whether `identity` may see what is of `queue`."""
    return identity.queues is None or queue in identity.queues


def check_queue(identity: Identity, queue: str) -> None:
    """Refuse what is of another queue.

    Raises:
        Problem: ``out_of_scope``.
    """
    if not may(identity, queue):
        raise refusal(identity, f"queue {queue}")


def check_cluster(identity: Identity) -> None:
    """Refuse a token that is for some queues what is of all of them.

    Raises:
        Problem: ``out_of_scope``.
    """
    if identity.queues is not None:
        raise refusal(identity, "all queues")


def refusal(identity: Identity, needs: str) -> Problem:
    """Why not."""
    mine = sorted(identity.queues or ())
    return Problem(
        "out_of_scope",
        f"{identity.name} is for the queues {', '.join(mine)}; this needs {needs}",
        params={"queues": mine, "needs": needs},
    )


async def check_path(core: Core, identity: Identity, heeds: Heeds, names: Mapping[str, Any]) -> None:
    """Refuse what the address names, where it is of another queue: as if it were not there, but a queue by its name.

    Raises:
        Problem: ``out_of_scope``, ``job_not_found``, ``not_found``; or broker or database cannot be reached.
    """
    if identity.queues is None or heeds in {"nothing", "itself"}:
        return
    if heeds == "queue":
        check_queue(identity, str(names["queue"]))
    elif heeds == "job":
        job_id = str(names["job_id"])
        if await queue_of(core, job_id) not in identity.queues:
            raise Problem("job_not_found", f"there is no job {job_id}: it was never here, or retention has removed it")
    elif heeds == "letter":
        letter_id = str(names["letter_id"])
        async with core.asking() as backend:
            letter = await backend.letter(letter_id)
        if letter is None or letter.queue not in identity.queues:
            raise Problem("not_found", f"there is no dead letter {letter_id}")
    else:
        check_cluster(identity)


async def queue_of(core: Core, job_id: str) -> str | None:
    """The queue of a job, as the broker knows it now, else as the history does; None: there is no such job."""
    async with core.asking() as backend:
        record = await backend.get(job_id)
    if record is not None:
        return record.queue
    return (await queues_of(core, (job_id,))).get(job_id)


async def queues_of(core: Core, job_ids: Collection[str]) -> dict[str, str]:
    """The queues of jobs that the history knows."""
    async with core.reading() as connection:
        found = await connection.execute(select(jobs.c.id, jobs.c.queue).where(jobs.c.id.in_(list(job_ids))))
        return {str(job_id): str(queue) for job_id, queue in found}


def narrowed(identity: Identity, text: str, *, most: int, pointer: str = "/query/filter") -> Filter:
    """The filter `text`, which fits nothing of other queues than the identity's; its spelling says so.

    Raises:
        Problem: ``invalid_filter``.
    """
    from naq.server.filters import Filter, read_filter

    wanted = read_filter(text, most=most, pointer=pointer)
    if identity.queues is None:
        return wanted
    # Read apart from each other: nothing in the text can take the queues in.
    term = prefix(identity)
    return Filter((*read_filter(term, most=1).conditions, *wanted.conditions), f"{term} {wanted.text}".strip())


def prefix(identity: Identity) -> str:
    """The term that all filters of this identity begin with."""
    return f"queue:{','.join(sorted(identity.queues or ()))}"
