"""From whatever was raised to the problem that it is. The one place where exceptions become answers."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, Final, cast

from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DataError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from naq import exceptions as naq
from naq.server.problems.problem import Problem

MEDIA: Final = "application/problem+json"
_BY_STATUS: Final = {400: "bad_request", 404: "no_route", 405: "method_not_allowed", 415: "wrong_content_type"}
_AGAIN: Final = "5"  # seconds, where nobody knows better


def render(problem: Problem, request: Request) -> Response:
    """The answer."""
    body = problem.body(instance=request.url.path, request_id=str(request.scope.get("naq.request_id", "")))
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(text, problem.kind.status, headers=problem.headers, media_type=MEDIA)


def as_problem(error: Exception) -> Problem | None:  # noqa: PLR0911 - one a kind
    """What `error` is to whoever asked; None: a bug."""
    match error:
        case Problem():
            return error
        case RequestValidationError():
            return _invalid(cast("Sequence[dict[str, Any]]", error.errors()))
        case HTTPException():
            # FastAPI wraps whatever is raised while a body is read: what was said there counts.
            return error.__cause__ if isinstance(error.__cause__, Problem) else _of_http(error)
        case naq.JobNotFoundError():
            return Problem("job_not_found", str(error))
        case naq.ScheduleNotFoundError():
            return Problem("not_found", str(error))
        case naq.PayloadTooLarge():
            return Problem("body_too_large", str(error))
        case naq.NaqConnectionError():
            away = {"part": "broker"}  # as the breaker says it
            return Problem("broker_unavailable", str(error), params=away, headers={"Retry-After": _AGAIN})
        case naq.NaqBackpressureError():
            return Problem("broker_full", str(error), headers={"Retry-After": _AGAIN})
        case naq.RateLimited():
            wait = str(max(1, math.ceil(error.retry_after)))
            return Problem("too_many_requests", str(error), headers={"Retry-After": wait})
        case DataError() if "NUL" in str(
            error.orig
        ):  # PostgreSQL keeps none in a text, and says so only when it is asked
            return Problem("invalid", "a text with a NUL character cannot be kept or looked for: leave it out")
        case naq.ConfigurationError() | naq.SerializationError():
            return Problem("invalid", str(error), errors=[{"pointer": "", "code": "invalid", "message": str(error)}])
        case _:
            return None


def _of_http(error: HTTPException) -> Problem:
    headers = dict(error.headers or {})
    code = _BY_STATUS.get(error.status_code, "bad_request" if error.status_code < 500 else "internal")
    return Problem(code, headers=headers)


def _invalid(errors: Sequence[dict[str, Any]]) -> Problem:
    if any(error.get("type") == "json_invalid" for error in errors):
        return Problem("invalid", "the body is no JSON", errors=[_place(error) for error in errors])
    shown = [_place(error) for error in errors]
    return Problem("invalid", "; ".join(f"{one['pointer']}: {one['message']}" for one in shown[:5]), errors=shown)


def _place(error: dict[str, Any]) -> dict[str, Any]:
    where, *path = [str(part) for part in error.get("loc", ())] or [""]
    parts = path if where == "body" else [where, *path]
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)
    return {"pointer": pointer, "code": str(error.get("type", "invalid")), "message": str(error.get("msg", ""))}
