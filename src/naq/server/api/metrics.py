"""Numbers for Prometheus."""

from __future__ import annotations

from fastapi import Request
from starlette.responses import PlainTextResponse, Response

from naq import measures
from naq.server.api.gate import core_of
from naq.server.api.routes import Routes
from naq.server.metrics.asked import ask
from naq.server.metrics.families import families

PATH = "/metrics"
routes = Routes("health", prefix="")


@routes.add("GET", PATH, "getMetrics", "Numbers for Prometheus", response_class=PlainTextResponse)
async def get_metrics(request: Request) -> Response:
    """In its text format (docs/observability.md); what broker or database would say is left out while they are away."""
    core = core_of(request)
    asked = await ask(core)
    return Response(measures.render(lambda: families(core, asked)), media_type=measures.CONTENT_TYPE)
