"""How a route is declared: its role, its name in the document, its problems (`naq.server.api.gate` does the rest)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, time
from email.utils import format_datetime
from typing import Any, Final, Literal, TypeVar

from fastapi import APIRouter
from msgspec import Struct

from naq.server.access.rates import Policy
from naq.server.access.roles import Role
from naq.server.access.scope import Heeds
from naq.server.api.gate import GatedRoute
from naq.server.api.models import ProblemBody
from naq.server.problems import CATALOGUE

Method = Literal["GET", "POST", "PATCH", "PUT", "DELETE"]
F = TypeVar("F", bound=Callable[..., Any])
#: What every route may answer, whatever it does.
ALWAYS: Final = (
    "not_logged_in", "token_expired", "cross_site", "forbidden", "out_of_scope", "invalid",
    "too_many_requests", "internal",
    "database_unavailable", "stopping", "bad_request",
)  # fmt: skip
WRITES: Final = ("body_too_large", "wrong_content_type", "key_in_use", "key_reused")
BROKER: Final = ("broker_unavailable", "broker_full")


class Deprecated(Struct, frozen=True):
    """That a route is not to be used any more `since` a day, and is gone after another, half a year later at least."""

    since: date
    until: date

    def headers(self) -> dict[str, str]:
        """As RFC 9745 and RFC 8594 have them."""
        begun, ends = (datetime.combine(day, time(), UTC) for day in (self.since, self.until))
        return {"Deprecation": f"@{int(begun.timestamp())}", "Sunset": format_datetime(ends, usegmt=True)}


class Routes:
    """The routes of one noun."""

    def __init__(self, tag: str, *, prefix: str = "/api/v1") -> None:
        self.router: Final = APIRouter(prefix=prefix, tags=[tag], route_class=GatedRoute)

    def add(
        self,
        method: Method,
        path: str,
        name: str,
        summary: str,
        *,
        role: Role | None = "viewer",
        scope: Heeds = "cluster",
        problems: Sequence[str] = (),
        policy: Policy | None = None,
        deprecated: Deprecated | None = None,
        status: int = 200,
        **options: Any,
    ) -> Callable[[F], F]:
        """Declare a route; a decorator.

        Args:
            method: of HTTP; all but GET are audited.
            path: behind ``/api/v1``.
            name: its operationId.
            summary: one line.
            role: who may; None: everybody, logged in or not.
            scope: how it heeds the queues of a token that is for some.
            problems: codes that it may answer beside those of `ALWAYS` and, for changes, `WRITES`.
            policy: the rate that it also counts for.
            deprecated: since when it is not to be used any more, and until when it is there.
            status: of success.
            options: as FastAPI has them.
        """

        def decorate(function: F) -> F:
            writes = method != "GET"
            codes = dict.fromkeys([*ALWAYS, *(WRITES if writes else ()), *problems])
            extra: dict[str, Any] = {"x-naq-role": role or "nobody", "x-naq-scope": scope}
            if role is not None:
                extra["security"] = [{"token": []}, {"session": []}]
            if writes:
                extra["x-naq-audit"] = True
            if policy is not None:
                extra["x-naq-rate"] = policy
            if deprecated is not None:
                extra["x-naq-deprecated"] = deprecated.headers()
                options["deprecated"] = True
            self.router.add_api_route(
                path,
                function,
                methods=[method],
                operation_id=name,
                name=name,
                summary=summary,
                status_code=status,
                responses=_responses(codes) | options.pop("responses", {}),
                openapi_extra=extra | options.pop("openapi_extra", {}),
                **options,
            )
            return function

        return decorate


def _responses(codes: Iterable[str]) -> dict[int | str, dict[str, Any]]:
    """Problems by status, as the document shows them."""
    by_status: dict[int | str, list[str]] = {}
    for code in codes:
        by_status.setdefault(CATALOGUE[code].status, []).append(code)
    schema = {"$ref": f"#/components/schemas/{ProblemBody.__name__}"}
    return {
        status: {
            "description": "; ".join(f"`{code}`: {CATALOGUE[code].title}" for code in found),
            "content": {"application/problem+json": {"schema": schema}},
        }
        for status, found in by_status.items()
    }
