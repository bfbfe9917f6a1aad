"""Whether it lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from naq import clock
from naq._version import __version__
from naq.server.api.models import Model, Moment, at_seconds
from naq.server.core import Core

LAG: Final = 60.0  # seconds behind which the history is not well: what is shown is true, and too late to act by
_OPEN: Final = {"x-naq-role": "nobody", "x-naq-scope": "nothing"}
router = APIRouter(tags=["health"])


class Part(Model):
    """A thing that the server needs; without one that is `hard` it cannot do its work. Of the history, its lag."""

    ok: bool
    hard: bool = True
    since: Moment | None = None
    detail: str = ""
    lag_s: float | None = None


class Ready(Model):
    """Whether it is ready, and which part is not."""

    ready: bool
    version: str
    uptime_s: float
    parts: dict[str, Part]


def ready_of(core: Core) -> Ready:
    """How things stand, without asking anybody."""
    parts = {
        breaker.part: Part(ok=breaker.since is None, since=at_seconds(breaker.since or 0.0), detail=breaker.detail)
        for breaker in (core.broker, core.database)
    }
    if core.ingest is not None:
        lag = core.ingest.lag()
        behind = lag.seconds > LAG
        parts["history"] = Part(
            ok=not lag.problem and not behind,
            hard=False,
            detail=lag.problem or (f"it is {lag.seconds:.0f} s behind the event log" if behind else ""),
            lag_s=round(lag.seconds, 3) if lag.leading else None,
        )
    return Ready(
        ready=not core.stopping and all(part.ok for part in parts.values() if part.hard),
        version=__version__,
        uptime_s=round(clock.now() - core.started_at, 3),
        parts=parts,
    )


@router.get("/livez", operation_id="livez", summary="Whether the process lives", openapi_extra=_OPEN)
async def livez() -> dict[str, Any]:
    """200 as long as the event loop turns; it asks nobody."""
    return {"alive": True}


@router.get(
    "/readyz", operation_id="readyz", summary="Whether it can do its work",
    responses={503: {"model": Ready, "description": "A part that it needs is away."}},
    openapi_extra=_OPEN,
)  # fmt: skip
async def readyz(request: Request, response: Response) -> Ready:
    """Each part that it needs; 503 if one is away. What is known to be away is asked anew by this."""
    core: Core = request.app.state.core
    await core.look()
    found = ready_of(core)
    response.status_code = 200 if found.ready else 503
    return found
