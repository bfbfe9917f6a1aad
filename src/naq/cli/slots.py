"""``naq workers slots|pause|resume``: how many jobs workers run at once, until they end."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from typing import TYPE_CHECKING

from naq.backends.orders import set_slots
from naq.cli.changes import report
from naq.cli.common import ASK, DEFAULT, Common, Consent, agree, read_config, say, talk
from naq.cli.errors import UsageError
from naq.cli.exits import Exit
from naq.cli.many import each
from naq.cli.order import Every, Ids, find
from naq.cli.text import counted
from naq.cli.views import Change

if TYPE_CHECKING:
    from naq.backends.base import Backend

MOST = 100_000  # slots, as of the setting `concurrency`


def slots(
    count: int, /, worker_ids: Ids = None, *, every: Every = False, consent: Consent = ASK, common: Common = DEFAULT
) -> int:
    """Change how many jobs workers run at once, until they end; with 0 they claim nothing more.

    Jobs that run over it end as ever. One that is started anew has what it is started with.

    Example: naq workers slots 50 laptop-4711-ab12cd
    Example: naq workers slots 5 --all

    Args:
        count: How many.
        worker_ids: Which, as `naq workers list` names them, or say --all.
        every: All that run now.
    """
    if not 0 <= count <= MOST:
        raise UsageError(f"{count} slots: give 0 to {MOST:,}")
    return _tell(count, f"told to run {count} at once", worker_ids, every, consent, common)


def pause(worker_ids: Ids = None, /, *, every: Every = False, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Have workers claim nothing more, and stay; what runs goes on. A drain ends them instead.

    Example: naq workers pause laptop-4711-ab12cd

    Args:
        worker_ids: Which, as `naq workers list` names them, or say --all.
        every: All that run now.
    """
    return _tell(0, "told to pause", worker_ids, every, consent, common)


def resume(worker_ids: Ids = None, /, *, every: Every = False, consent: Consent = ASK, common: Common = DEFAULT) -> int:
    """Have workers claim again, as they were started. Those that were told to drain or to stop go all the same.

    Example: naq workers resume --all

    Args:
        worker_ids: Which, as `naq workers list` names them, or say --all.
        every: All that run now.
    """
    return _tell(None, "told to resume", worker_ids, every, consent, common)


def _tell(
    count: int | None, outcome: str, worker_ids: list[str] | None, every: bool, consent: Consent, common: Common
) -> int:
    if bool(worker_ids) == every:
        raise UsageError(
            f"say which workers: their ids (naq workers list -q), or --all; not {'both' if every else 'none'}"
        )
    config = read_config(common)
    ids, _ = talk(config, lambda backend: find(backend, worker_ids))
    if not ids:
        say("no worker runs")
        return Exit.DONE
    if consent.dry_run:
        return report([Change(id=name, done=True, outcome=f"would be {outcome}", count=0) for name in ids], common)
    if every and count == 0 and not agree(consent, f"Pause {counted(len(ids), 'worker')}?"):
        say("nothing was done")
        return Exit.FAILED

    async def tell(backend: Backend) -> list[Change]:
        async def one(worker_id: str) -> Change:
            await set_slots(backend, worker_id, count)
            return Change(id=worker_id, done=True, outcome=outcome, count=0)

        return await each("telling", ids, one)

    return report(talk(config, tell), common)
