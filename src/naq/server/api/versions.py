"""Changing what somebody has seen: an ETag out, and If-Match in."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import Header

from naq.server.problems import Problem

IfMatch = Annotated[str | None, Header(alias="If-Match", max_length=200, description="The ETag of what is changed.")]
#: What a change of a version may answer.
CHANGED: Final = ("version_conflict", "precondition_required")


def check_version(match: str | None, etag: str) -> None:
    """Refuse a change of another version than the one that is there; ``*`` is any.

    Raises:
        Problem: ``precondition_required``, or ``version_conflict`` with the version that is there.
    """
    if match is None:
        raise Problem("precondition_required", headers={"ETag": etag})
    if match != "*" and etag not in [each.strip() for each in match.split(",")]:
        raise conflict(etag)


def conflict(etag: str) -> Problem:
    """Another version than the one that was meant is there."""
    return Problem("version_conflict", params={"version": etag}, headers={"ETag": etag})
