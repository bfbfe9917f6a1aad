"""A problem as an exception, and as what an answer says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from naq.config.suggest import hint
from naq.server.problems.catalogue import CATALOGUE, Kind


class Problem(Exception):
    """An answer that is not success.

    Attributes:
        kind: from the catalogue.
        detail: what happened this time, in a sentence.
        params: what the sentence is made of, for programs and translations.
        errors: places in the request, each ``{pointer, code, message, hint?}``.
        headers: that go with it, such as ``Retry-After``.
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        errors: Sequence[Mapping[str, Any]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.kind: Kind = CATALOGUE[code]
        self.detail = detail or self.kind.cause
        self.params = dict(params or {})
        self.errors = [dict(error) for error in errors]
        self.headers = dict(headers or {})
        super().__init__(f"{code}: {self.detail}")

    def body(self, *, instance: str, request_id: str) -> dict[str, Any]:
        """What the answer says."""
        said: dict[str, Any] = {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.kind.code,
            "request_id": request_id,
            "params": self.params,
        }
        if self.errors:
            said["errors"] = self.errors
        return said


def wrong(pointer: str, message: str, *, code: str = "invalid", given: str | None = None,
          known: Sequence[str] = ()) -> Problem:  # fmt: skip
    """One thing of the request is not allowed: 422, with its place, and what is near to `given` among `known`."""
    error: dict[str, Any] = {"pointer": pointer, "code": code, "message": message}
    if given is not None and known:
        error["hint"] = hint(given, known)
    return Problem(code, f"{pointer}: {message}", errors=[error])
