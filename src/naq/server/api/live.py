"""Live events."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import Header, Query, Request
from starlette.responses import Response

from naq.config.suggest import hint
from naq.server.access.roles import Identity
from naq.server.access.scope import check_path, refusal
from naq.server.api.gate import asked_filter, core_of, identity_of
from naq.server.api.jobs import FilterText
from naq.server.api.models import Model
from naq.server.api.routes import BROKER, Routes
from naq.server.core import Core
from naq.server.live.stream import EventStream
from naq.server.problems import wrong

routes = Routes("events")
TOPICS: Final = (
    "overview", "attention", "jobs", "queues", "workers", "schedules", "errors", "alerts", "bulk", "dead",
    "job:ID", "logs:ID",
)  # fmt: skip
_TOPIC: Final = re.compile(
    r"overview|attention|jobs|queues|workers|schedules|errors|alerts|bulk|dead|(job|logs):[A-Za-z0-9_-]{1,64}", re.ASCII
)
EventId = Annotated[str, Query(max_length=64)]

_OF_SOME: Final = frozenset({"jobs", "queues", "dead"})  # topics of which everybody is told what is of their queues


class StreamItem(Model):
    """An event of the stream; `data` is JSON, in a form that depends on `event` (docs/api.md)."""

    id: str | None = None
    event: str
    data: str


@routes.add(
    "GET", "/events", "streamEvents", "Watch live", scope="itself",
    problems=("too_many_streams", "streams_full", "invalid_filter", *BROKER),
    response_class=EventStream,
    responses={200: {"description": "Events, as long as the client stays.", "content": {
        "text/event-stream": {"itemSchema": {"$ref": f"#/components/schemas/{StreamItem.__name__}"}}}}},
)  # fmt: skip
async def stream_events(
    request: Request,
    topics: Annotated[str, Query(min_length=1, max_length=8000, description=f"Of {', '.join(TOPICS)}; by commas.")],
    filter: FilterText = "",  # noqa: A002 - its name in the address
    last_event_id: Annotated[str | None, Query(max_length=64, description="As the header; for tools.")] = None,
    last: Annotated[str | None, Header(alias="Last-Event-ID", max_length=64)] = None,
) -> Response:
    """One stream for all that a page shows: first `hello`; `Last-Event-ID` brings what was missed, or `reset`."""
    core, identity = core_of(request), identity_of(request)
    asked = frozenset(topic for topic in topics.split(",") if topic)
    if not 1 <= len(asked) <= core.settings.sse_topics:
        raise wrong("/query/topics", f"give 1 to {core.settings.sse_topics} topics")
    for topic in sorted(asked):
        if not _TOPIC.fullmatch(topic):
            raise wrong("/query/topics", f"there is no topic {topic[:80]!r}; {hint(topic[:80], TOPICS)}")
    wanted = asked_filter(request, filter)
    await _check_topics(core, identity, asked)
    client = await core.hub.join(asked, wanted, identity.key, queues=identity.queues)
    return EventStream(core, request, client, identity.key, last or last_event_id)


async def _check_topics(core: Core, identity: Identity, asked: frozenset[str]) -> None:
    """Refuse a token that is for some queues what is of others.

    Raises:
        Problem: ``out_of_scope``, ``job_not_found``.
    """
    if identity.queues is None:
        return
    for topic in sorted(asked - _OF_SOME):
        _, _, job_id = topic.partition(":")
        if not job_id:
            raise refusal(identity, f"all queues, as topic {topic} is of all of them")
        await check_path(core, identity, "job", {"job_id": job_id})
