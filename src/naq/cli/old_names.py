"""Commands by the names that naq's users know."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import Annotated

from naq.cli.common import ASK, DEFAULT, Common, Consent
from naq.cli.filters import Filter
from naq.cli.jobs import list_ as list_of_jobs
from naq.cli.parameter import Parameter
from naq.cli.queues import Names
from naq.cli.queues import purge as purge_queues
from naq.cli.workers import list_ as list_of_workers


def purge(queues: Names, /, *, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Remove every waiting job of these queues; the same as `naq queues purge`.

    Example: naq purge mail --yes

    Args:
        queues: The queues.
    """
    return purge_queues(queues, consent=consent, common=common)


def list_scheduled(
    *,
    queue: str | None = None,
    limit: Annotated[int, Parameter(name=["--limit", "-n"])] = 50,
    common: Common = DEFAULT,
) -> None:
    """List the jobs that wait for a time: scheduled ones, and retries; as `naq jobs list --state scheduled,retrying`.

    What runs again and again is listed by `naq schedules list`.

    Example: naq list-scheduled --queue mail

    Args:
        queue: Only of this queue.
        limit: At most so many.
    """
    list_of_jobs(which=Filter(queue=queue, state=["scheduled,retrying"]), limit=limit, common=common)


def list_workers(*, common: Common = DEFAULT) -> None:
    """List the workers that run now; the same as `naq workers list`.

    Example: naq list-workers
    """
    list_of_workers(common=common)
