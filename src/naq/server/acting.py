"""What the API does that needs more than one word to the broker: jobs of tasks whose code is not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

import msgspec
from msgspec import Raw

from naq.app import Naq
from naq.backends.base import Backend, DeadLetter, EnqueueResult
from naq.codec.envelope import JSON
from naq.codec.reader import Reader
from naq.config import Config
from naq.flow.letters import rewritten
from naq.job import JobSpec
from naq.server.problems import Problem
from naq.task import JobSettings
from naq.task.call import Call

REQUEST: Final = "request-id"  # a tag of jobs that came through the API: finds the request in the server's log


async def _anything(*args: Any, **kwargs: Any) -> Any:
    """A task of which nothing is known but its name."""


def make_call(config: Config, task: str, args: Sequence[Any], kwargs: Mapping[str, Any], **options: Any) -> Call[Any]:
    """A call of a task of which nothing is known but its name.

    Raises:
        ConfigurationError, SerializationError: it cannot be.
    """
    fields: dict[str, Any] = {name: getattr(config, name) for name in config.__struct_fields__}
    app = Naq(config.namespace, **fields)
    app.task(name=task)(_anything)
    settings = cast("JobSettings", {name: value for name, value in options.items() if value is not None})
    return app.get_task(task).options(**settings).call(*args, **kwargs)


async def enqueue(
    backend: Backend,
    config: Config,
    task: str,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    queue: str,
    priority: str,
    delay: float | None = None,
    run_at: datetime | None = None,
    tags: Mapping[str, str] | None = None,
    job_id: str | None = None,
    request_id: str = "",
) -> EnqueueResult:
    """Store a job of `task`."""
    from naq import clock

    tagged = {**(tags or {}), **({REQUEST: request_id} if request_id else {})}
    call = make_call(
        config, task, args, kwargs, queue=queue, priority=priority, delay=delay, run_at=run_at, tags=tagged,
        job_id=job_id,
    )  # fmt: skip
    await backend.open([queue])
    [stored] = await backend.enqueue([call.plan.build(call.args, call.kwargs, clock.now())])
    return stored


def retry_edited(
    config: Config, letter: DeadLetter, args: Sequence[Any] | None, kwargs: Mapping[str, Any] | None
) -> bytes:
    """The payload of a failed job with other arguments, sealed as `config` asks; None leaves what was there.

    Raises:
        Problem: its arguments are pickled, so they cannot be edited.
        PayloadTooLarge, SerializationError: a worker would not take it.
    """
    envelope = Reader(config)(JobSpec(id=letter.id, queue=letter.queue, payload=letter.payload))
    if envelope.codec != JSON:
        raise Problem("wrong_state", f"the arguments of job {letter.id} are pickled: it can only be run again as it is")
    return rewritten(
        letter,
        envelope,
        config,
        envelope.args if args is None else Raw(msgspec.json.encode(args)),
        envelope.kwargs if kwargs is None else Raw(msgspec.json.encode(kwargs)),
    )
