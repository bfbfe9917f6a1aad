"""What all answers share: problems, lists, totals, moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, PlainSerializer

T = TypeVar("T")


def at(micros: int | None) -> datetime | None:
    """A moment from microseconds since 1970; None stays None, and so does 0."""
    return (
        None if not micros else datetime.fromtimestamp(micros // 1_000_000, UTC).replace(microsecond=micros % 1_000_000)
    )


def at_seconds(seconds: float) -> datetime | None:
    """A moment from UNIX seconds; 0: not known."""
    return at(round(seconds * 1_000_000))


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


Moment = Annotated[datetime, PlainSerializer(_text, return_type=str, when_used="json")]


class Model(BaseModel):
    """What the server says."""

    model_config = ConfigDict(frozen=True)


class Given(BaseModel):
    """What the server is told: what it does not know, it refuses."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorPlace(Model):
    """A place in the request that is not allowed."""

    pointer: str
    code: str
    message: str
    hint: str | None = None


class ProblemBody(Model):
    """A problem (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str
    request_id: str
    params: dict[str, Any] = {}
    errors: list[ErrorPlace] = []


class Total(Model):
    """How many there are; `at_least` where counting stopped at the cap."""

    value: int
    relation: Literal["exact", "at_least"]


class Page(Model, Generic[T]):
    """A page of a list."""

    items: list[T]
    next_cursor: str | None = None
    prev_cursor: str | None = None
    total: Total | None = None


class Done(Model):
    """What was done to one thing."""

    id: str
    done: bool
    outcome: str
    audit_id: str | None = None
