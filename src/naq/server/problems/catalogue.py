"""Every code that an answer may carry. docs/problems.md is made from this; a test compares the two."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

BASE: Final = "https://naq.dev/problems/"  # of `type`: a name, and the page that explains it


class Kind(Struct, frozen=True):
    """A kind of problem.

    Attributes:
        code: stable; what programs decide by.
        status: of HTTP.
        title: the same for all of a kind; not for programs.
        cause, fix: how it comes about, and what to do.
    """

    code: str
    status: int
    title: str
    cause: str
    fix: str

    @property
    def type(self) -> str:
        """The URI that names the kind."""
        return BASE + self.code.replace("_", "-")


_ALL: Final = (
    Kind(
        "bad_request",
        400,
        "The request cannot be read",
        "It is no HTTP that makes sense here, such as a body cut short.",
        "Send it again as the OpenAPI document says.",
    ),
    Kind(
        "not_logged_in",
        401,
        "Nobody is logged in",
        "There is no token and no session, or it is none.",
        "Send `Authorization: Bearer ...` with a token (`naq tokens create`), or log in.",
    ),
    Kind("token_expired", 401, "The token has expired", "Its time is over, or somebody revoked it.", "Make a new one."),
    Kind(
        "wrong_password",
        401,
        "The password is wrong",
        "Name or password do not fit.",
        "Try again; attempts are limited.",
    ),
    Kind(
        "forbidden",
        403,
        "The role does not allow this",
        "The route needs a higher role: viewer < operator < admin.",
        "Use a token of the role that `params.needs` names.",
    ),
    Kind(
        "out_of_scope",
        403,
        "The token is for other queues",
        "It was made for some queues; this is of another one, or of all.",
        "Use a token that is for what `params.needs` says.",
    ),
    Kind(
        "cross_site",
        403,
        "The request came from another site",
        "A session's write must come from the server's own page, with its CSRF token.",
        "Send the header X-CSRF-Token with what `GET /api/v1/me` says, or use a bearer token.",
    ),
    Kind(
        "no_route",
        404,
        "There is nothing at this address",
        "The path is misspelt, or of another version.",
        "See `/api/v1/openapi.json`.",
    ),
    Kind(
        "not_found",
        404,
        "There is no such thing",
        "Nothing has this id or name, or it was pruned.",
        "Check the id; retention says how long history is kept.",
    ),
    Kind(
        "job_not_found",
        404,
        "There is no such job",
        "It was never enqueued in this namespace, or retention removed it.",
        "Check the id, and the namespace that the server serves.",
    ),
    Kind(
        "method_not_allowed",
        405,
        "The address does not take this method",
        "It exists, for other methods.",
        "Use one that the header Allow names.",
    ),
    Kind(
        "wrong_state",
        409,
        "It is not in a state for that",
        "It has moved on, or has not come that far.",
        "Look at its state, in `params.state`, and decide anew.",
    ),
    Kind(
        "already_exists",
        409,
        "There is one of this name",
        "Names are taken once.",
        "Change the one that is there, or choose another name.",
    ),
    Kind(
        "key_in_use",
        409,
        "The first request with this key still runs",
        "A request with this Idempotency-Key has not been answered yet.",
        "Wait for `Retry-After` seconds and send the same again.",
    ),
    Kind(
        "version_conflict",
        412,
        "It was changed meanwhile",
        "If-Match names another version than the one that is there.",
        "Read it again, and apply the change to what it is now.",
    ),
    Kind(
        "body_too_large",
        413,
        "The body is too large",
        "It is over `server_max_body`, or the job over `max_payload`.",
        "Send less; put large things where tasks can fetch them.",
    ),
    Kind(
        "range_not_satisfiable",
        416,
        "The range is outside of the file",
        "Range begins behind its end.",
        "Ask for less; Content-Range says how long it is.",
    ),
    Kind(
        "wrong_content_type",
        415,
        "The body is of a type that is not taken",
        "Bodies are JSON.",
        "Send `Content-Type: application/json`.",
    ),
    Kind(
        "invalid",
        422,
        "Something in the request is not allowed",
        "A value of the wrong type or out of range, an unknown field or parameter.",
        "See `errors`: each names its place by a JSON Pointer.",
    ),
    Kind(
        "invalid_filter",
        422,
        "The filter cannot be read",
        "A term is misspelt, or its value is none.",
        "See `errors`, and the grammar in docs/api.md.",
    ),
    Kind(
        "cursor_mismatch",
        422,
        "The cursor is of another list",
        "Filter or sort are not those that it was made with.",
        "Begin at the first page whenever they change.",
    ),
    Kind(
        "cursor_invalid",
        422,
        "The cursor cannot be used",
        "It was not made by this server, is damaged, or too old.",
        "Begin at the first page.",
    ),
    Kind(
        "key_reused",
        422,
        "The key was used for another request",
        "An Idempotency-Key stands for one request.",
        "Make a new key for each request.",
    ),
    Kind(
        "precondition_required",
        428,
        "The change must say what it changes",
        "Schedules and waiting jobs are changed only by who has seen the latest version.",
        "Send `If-Match` with the ETag of a GET.",
    ),
    Kind(
        "too_many_requests",
        429,
        "Too many requests",
        "The token or address has used up its rate.",
        "Wait for `Retry-After` seconds.",
    ),
    Kind(
        "too_many_streams",
        429,
        "Too many event streams",
        "Each token or address may hold so many at once.",
        "Close one; a browser needs one for all its tabs.",
    ),
    Kind(
        "internal",
        500,
        "That is a bug in naq",
        "Something happened that nobody foresaw; the server's log has it under the request id.",
        "Report it, with the request id.",
    ),
    Kind(
        "streams_full",
        503,
        "The server has no event stream to spare",
        "It holds as many as `server_sse_clients` says.",
        "Try again after `Retry-After` seconds, or start another server.",
    ),
    Kind(
        "broker_unavailable",
        503,
        "The broker cannot be reached",
        "NATS is away, or too slow to answer.",
        "Try again after `Retry-After` seconds; history can be read meanwhile.",
    ),
    Kind(
        "broker_full",
        503,
        "The broker is full",
        "It refused a write for want of space.",
        "Make room; see docs/broker.md.",
    ),
    Kind(
        "worker_silent",
        504,
        "The worker did not answer",
        "It has gone, is cut off from the broker, or runs an older naq.",
        "Look at when it was heard of last; try again.",
    ),
    Kind(
        "database_unavailable",
        503,
        "The database cannot be reached",
        "The history is away, or too slow to answer.",
        "Try again after `Retry-After` seconds; nothing is lost meanwhile.",
    ),
    Kind(
        "stopping",
        503,
        "The server is stopping",
        "It takes no new requests.",
        "Ask another one, or this one in a moment.",
    ),
)
CATALOGUE: Final = {kind.code: kind for kind in _ALL}


def page() -> str:
    """docs/problems.md."""
    lines = [
        "# Problems",
        "",
        "Every answer that is none of success is `application/problem+json` (RFC 9457): `type`, `title`, `status`,",
        "`detail`, `instance`, and beside them `code` (stable, what programs decide by), `request_id` (what the log of",
        "the server calls it), `params`, and where it is about parts of the request `errors`, each a JSON Pointer.",
        "These are all codes. `src/naq/server/problems/catalogue.py` has them; this page is made from it.",
    ]
    for kind in _ALL:
        lines += ["", f"## {kind.code.replace('_', '-')}", ""]
        lines += [f"`{kind.code}`, status {kind.status}: {kind.title}.", ""]
        lines += [f"- Cause: {kind.cause}", f"- What to do: {kind.fix}"]
    return "\n".join(lines) + "\n"
