"""``naq workers drain|stop``: tell workers to go."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say, talk
from naq.cli.errors import NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.many import each
from naq.cli.parameter import Parameter
from naq.cli.progress import Progress
from naq.cli.text import counted
from naq.cli.values import read_duration
from naq.cli.views import Change
from naq.config.suggest import hint
from naq.exceptions import ResultTimeout
from naq.worker.orders import Order, give

if TYPE_CHECKING:
    from naq.backends.base import Backend

LOOK: Final = 0.3  # seconds between two looks at who is there

Ids = Annotated[list[str] | None, Parameter(negative_iterable="")]
Every = Annotated[bool, Parameter(name="--all", negative="", show_default=False)]
Wait = Annotated[bool, Parameter(name=["--wait", "-w"], negative="", show_default=False)]


def drain(
    worker_ids: Ids = None,
    /,
    *,
    every: Every = False,
    wait: Wait = False,
    timeout: str | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Tell workers to claim nothing more and to end when their running jobs have, however long that takes.

    One that is cut off from the broker learns of it when it is back, up to an hour later. A supervisor
    (naq worker --processes) does not replace those that were told to go; systemd or Kubernetes may.

    Example: naq workers drain laptop-4711-ab12cd
    Example: naq workers drain --all --wait

    Args:
        worker_ids: Which, as `naq workers list` names them, or say --all.
        every: All that run now.
        wait: Wait until they have gone.
        timeout: Wait at most so long, such as 5m; exit code 7 if one is there still.
    """
    return _tell(Order.DRAIN, "drain", worker_ids, every, wait, timeout, consent, common)


def stop(
    worker_ids: Ids = None,
    /,
    *,
    every: Every = False,
    now: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    wait: Wait = False,
    timeout: str | None = None,
    consent: Consent = ASK,
    common: Common = DEFAULT,
) -> int:
    """Tell workers to stop, as Ctrl-C does: running jobs get their shutdown timeout, what is left goes back.

    One that is cut off from the broker learns of it when it is back, up to an hour later. A supervisor
    (naq worker --processes) does not replace those that were told to go; systemd or Kubernetes may.

    Example: naq workers stop laptop-4711-ab12cd
    Example: naq workers stop --all --now --yes

    Args:
        worker_ids: Which, as `naq workers list` names them, or say --all.
        every: All that run now.
        now: Give running jobs no time: they are interrupted and go back to their queues.
        wait: Wait until they have gone.
        timeout: Wait at most so long, such as 1m; exit code 7 if one is there still.
    """
    return _tell(Order.NOW if now else Order.STOP, "stop", worker_ids, every, wait, timeout, consent, common)


def _tell(
    order: Order,
    verb: str,
    worker_ids: list[str] | None,
    every: bool,
    wait: bool,
    timeout: str | None,
    consent: Consent,
    common: Common,
) -> int:
    if bool(worker_ids) == every:
        raise UsageError(
            f"say which workers: their ids (naq workers list -q), or --all; not {'both' if every else 'none'}"
        )
    if timeout is not None and not wait:
        raise UsageError("--timeout is how long to wait until they have gone: add --wait")
    seconds, config = read_duration("--timeout", timeout), read_config(common)
    ids, jobs = talk(config, lambda backend: find(backend, worker_ids))
    if not ids:
        say("no worker runs")
        return Exit.DONE
    if consent.dry_run:
        return report([Change(id=name, done=True, outcome=f"would be told to {verb}", count=0) for name in ids], common)
    what = f"{verb.capitalize()} {counted(len(ids), 'worker')}, which {'runs' if len(ids) == 1 else 'run'} "
    if (every or order is Order.NOW) and not agree(consent, what + f"{counted(jobs, 'job')}?"):
        say("nothing was done")
        return Exit.FAILED
    return report(talk(config, lambda backend: _give(backend, ids, order, wait, seconds)), common)


async def find(backend: Backend, asked: list[str] | None) -> tuple[list[str], int]:
    """The ids of those that are meant, and how many jobs they run."""
    running = {worker.id: worker.running for worker in await backend.workers()}
    ids = sorted(running) if asked is None else list(dict.fromkeys(asked))
    for worker_id in ids:
        if worker_id not in running:
            raise NotFoundError(f"no worker {worker_id!r} runs; {hint(worker_id, running)}")
    return ids, sum(running[worker_id] for worker_id in ids)


async def _give(backend: Backend, ids: list[str], order: Order, wait: bool, timeout: float | None) -> list[Change]:
    word = "told to drain" if order is Order.DRAIN else "told to stop"

    async def tell(worker_id: str) -> Change:
        await give(backend, worker_id, order)
        return Change(id=worker_id, done=True, outcome=word, count=0)

    changes = await each("telling", ids, tell)
    if not wait:
        return changes
    await _until_gone(backend, ids, timeout)
    return [Change(id=change.id, done=True, outcome="gone", count=0) for change in changes]


async def _until_gone(backend: Backend, ids: list[str], timeout: float | None) -> None:
    """Wait until none of `ids` says any more that it lives.

    Raises:
        ResultTimeout: one still does after `timeout` seconds.
    """
    import asyncio

    left = set(ids)
    try:
        with Progress("waiting for them to go", total=len(ids)) as progress:
            async with asyncio.timeout(timeout):
                while left:
                    gone = left - {worker.id for worker in await backend.workers()}
                    left -= gone
                    progress.add(len(gone))
                    if left:
                        await asyncio.sleep(LOOK)
    except TimeoutError:
        names = ", ".join(sorted(left))
        raise ResultTimeout(
            f"{names} had not gone within {timeout or 0:g} s; they were told, and go on ending"
        ) from None
