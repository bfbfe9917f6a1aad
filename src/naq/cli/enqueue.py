"""``naq enqueue``."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from naq.cli.common import DEFAULT, Common
from naq.cli.parameter import Parameter
from naq.job import Priority


def enqueue(
    task: str,
    arguments: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    /,
    *,
    queue: str | None = None,
    priority: Priority | None = None,
    delay: Annotated[str | None, Parameter(name="--in")] = None,
    at: str | None = None,
    tag: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    job_id: Annotated[str | None, Parameter(name="--id")] = None,
    after: Annotated[list[str] | None, Parameter(negative_iterable="")] = None,
    wait: Annotated[bool, Parameter(name=["--wait", "-w"], negative="", show_default=False)] = False,
    follow: Annotated[bool, Parameter(name=["--follow", "-f"], negative="", show_default=False)] = False,
    timeout: str | None = None,
    from_file: Annotated[Path | None, Parameter(allow_leading_hyphen=True)] = None,
    force: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common = DEFAULT,
) -> int:
    """Enqueue a job. Prints its id, or with --wait or --follow its result as JSON.

    An argument is name=value or a plain value, JSON if it reads as JSON, else
    text; or one JSON array or object holds them all. They are checked before
    anything is stored: by the code with --app, else by what workers that have
    run say of the task.
    Exit code with --wait or --follow: 0 succeeded, 1 failed, 7 took too long.

    Example: naq enqueue send_mail to=a@b.c count=3 --in 5m --tag team=shop
    Example: naq enqueue tasks.hello '{"name": "world"}' --wait --timeout 30s

    Args:
        task: The name of the task.
        arguments: What to call it with.
        queue: Where it waits. Default: the task's queue, as --app or workers say, else "default".
        priority: In which lane.
        delay: Not before this time has passed, such as 5m.
        at: Not before this moment, such as 2026-12-24T18:00 (local time).
        tag: A tag, as name=value (may be given several times).
        job_id: The id of the job: the same id is one job, however often it is enqueued.
        after: The id of a job that has to end first (may be given several times).
        wait: Wait for the result and print it.
        follow: The same, and say on stderr what becomes of the job meanwhile.
        timeout: Wait at most so long, such as 30s.
        from_file: One job for each line of this file (- for stdin), each a JSON array or object of arguments.
        force: Store it though workers say that the task does not take these arguments.
    """
    from naq.cli.send import Order, send

    return send(
        Order(
            task=task,
            words=arguments or [],
            queue=queue,
            priority=priority,
            delay=delay,
            at=at,
            tags=tag or [],
            job_id=job_id,
            wait=wait or follow,
            follow=follow,
            timeout=timeout,
            file=from_file,
            after=after or [],
            force=force,
        ),
        common,
    )
