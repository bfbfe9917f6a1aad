"""``naq workers stack`` and ``naq jobs stack``: where running jobs are in their code."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import sys
from datetime import datetime

from msgspec import Struct

from naq.backends import stacks
from naq.backends.stacks import Frame, Stack
from naq.cli.common import DEFAULT, Common, ask
from naq.cli.errors import NotFoundError
from naq.cli.order import find
from naq.cli.output import ago, moment, print_json
from naq.cli.text import plain


class StackView(Struct, frozen=True, kw_only=True):
    """Where a job is in its code: ``naq jobs stack``; the outermost call first, none of its values."""

    job: str
    task: str
    phase: str
    where: str
    started_at: datetime | None
    frames: list[Frame]
    detail: str

    @classmethod
    def of(cls, stack: Stack) -> StackView:
        """`stack` as it is printed."""
        return cls(
            job=stack.job, task=stack.task, phase=stack.phase, where=stack.where, started_at=moment(stack.at),
            frames=stack.frames, detail=stack.detail,
        )  # fmt: skip


class StacksView(Struct, frozen=True, kw_only=True):
    """Where all jobs of a worker are: ``naq workers stack``."""

    worker: str
    loop_lag: float
    left_out: int
    jobs: list[StackView]


def worker_stack(worker_id: str, /, *, common: Common = DEFAULT) -> None:
    """Say where the jobs of a worker are in their code: on its event loop, in threads, in child processes.

    The worker answers though a task blocks its event loop. Files, lines and functions, no arguments or locals.

    Example: naq workers stack laptop-4711-ab12cd

    Args:
        worker_id: The worker, as `naq workers list` names it.
    """

    async def look(backend: stacks.Backend) -> StacksView:
        await find(backend, [worker_id])
        said = await stacks.ask(backend, worker_id)
        jobs = [StackView.of(one) for one in said.jobs]
        return StacksView(worker=worker_id, loop_lag=said.loop_lag, left_out=said.left_out, jobs=jobs)

    found = ask(common, look)
    if common.json:
        print_json(found)
        return
    if found.loop_lag > 1:
        sys.stdout.write(f"its event loop has been blocked for {found.loop_lag:.1f} s\n\n")
    for stack in found.jobs:
        _print(stack, common)
    if found.left_out:
        sys.stdout.write(f"and {found.left_out:,} more\n")
    if not found.jobs:
        sys.stdout.write("it runs nothing\n")


def job_stack(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """Say where a running job is in its code, as its worker sees it now.

    Files, lines and functions, no arguments or locals.

    Example: naq jobs stack 01JC4N9W2V

    Args:
        job_id: The job.
    """
    found = ask(common, lambda backend: stacks.find(backend, job_id))
    if found is None:
        raise NotFoundError(f"no worker runs job {job_id} now; see naq jobs show {job_id}")
    view = StackView.of(found)
    if common.json:
        print_json(view)
    else:
        _print(view, common)


def _print(stack: StackView, common: Common) -> None:
    """As a traceback reads, the innermost call last."""
    since = f", for {ago(stack.started_at, common)}" if stack.started_at else ""
    lines = [f"{stack.task}  {stack.job}  {stack.phase} ({stack.where}{since})"]
    for frame in stack.frames:
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.function}')
        if frame.code:
            lines.append(f"    {frame.code}")
    if stack.detail:
        lines.append(f"  {stack.detail}")
    sys.stdout.write("\n".join(map(plain, lines)) + "\n\n")
