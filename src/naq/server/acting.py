"""A failed job run again with other arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from naq.backends.base import Backend, DeadLetter
from naq.codec.envelope import JSON
from naq.codec.reader import Reader
from naq.flow.letters import rewritten
from naq.job import JobSpec
from naq.server.access.redact import Redactor
from naq.server.access.restore import restored
from naq.server.calling import Caller
from naq.server.problems import Problem


async def retry_edited(
    caller: Caller,
    backend: Backend,
    letter: DeadLetter,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    redact: Redactor,
) -> bytes:
    """The payload of a failed job with other arguments, sealed as the settings ask; None leaves what was there.

    What is ``[hidden]`` in them by `redact` stays what it was.

    Raises:
        Problem: its arguments are pickled, so they cannot be edited; or the task takes none such.
        PayloadTooLarge, SerializationError: a worker would not take it.
    """
    envelope = Reader(caller.config)(JobSpec(id=letter.id, queue=letter.queue, payload=letter.payload))
    if envelope.codec != JSON:
        raise Problem("wrong_state", f"the arguments of job {letter.id} are pickled: it can only be run again as it is")
    raw_args = envelope.args if args is None else _encoded(args, envelope.args, redact, "args")
    raw_kwargs = envelope.kwargs if kwargs is None else _encoded(kwargs, envelope.kwargs, redact, "kwargs")
    known = await caller.know(backend, envelope.task)
    # Of another version of the task's parameters nobody said what they take; its upcasters, or the task, will tell.
    if known.version == envelope.version:
        known.check(msgspec.json.decode(raw_args), msgspec.json.decode(raw_kwargs))
    return rewritten(letter, envelope, caller.config, raw_args, raw_kwargs)


def _encoded(given: Any, stored: Raw, redact: Redactor, where: str) -> Raw:
    return Raw(msgspec.json.encode(restored(given, msgspec.json.decode(stored), redact, where)))
