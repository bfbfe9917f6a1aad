"""Tags and W3C trace context as message headers, so that whoever looks at a message needs no decoder for them.

Header values are ASCII on the wire. A tag that is not plain printable ASCII is percent-encoded UTF-8.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final
from urllib.parse import quote, unquote

from naq.exceptions import ConfigurationError, PayloadTooLarge
from naq.names import check_token

MAX_HEADERS: Final = 4096  # bytes of all names and values together, with what separates them
TAG: Final = "Naq-Tag-"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
_LINE: Final = 4  # bytes around a header: colon, space, CR, LF
_MAX_STATE: Final = 512  # characters of tracestate that the W3C asks everybody to carry; longer ones are dropped
# Version 00 has exactly these four fields; ids of zeros alone are invalid. Later versions may add fields.
_PARENT: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_given: Final[ContextVar[Mapping[str, str] | None]] = ContextVar("naq_trace", default=None)
_SAFE: Final = "".join(chr(code) for code in range(33, 127) if chr(code) != "%")


def build_headers(
    tags: Mapping[str, str] | None = None, trace: Mapping[str, str] | None = None, *, limit: int = MAX_HEADERS
) -> dict[str, str] | None:
    """The headers of a job with these `tags` and this trace context (``traceparent``, ``tracestate``), or None.

    A trace context that is not valid is left out, as the W3C asks: tracing never stops a job.

    Raises:
        ConfigurationError: a tag's name or value is not allowed.
        PayloadTooLarge: together they are longer than `limit` bytes.
    """
    if not tags and not trace:
        return None
    headers = {TAG + check_token("tag", name): _encode(name, value) for name, value in (tags or {}).items()}
    headers.update(read_trace(trace))
    size = sum(len(name) + len(value) + _LINE for name, value in headers.items())
    if size > limit:
        raise PayloadTooLarge(
            f"tags and trace context are {size} bytes, more than the limit of {limit}: use fewer tags"
        )
    return headers or None


def read_tags(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The tags in `headers`, which may come from anybody: what is not a tag is left out."""
    if not headers:
        return {}
    start = len(TAG)
    return {name[start:]: _decode(value) for name, value in headers.items() if name.startswith(TAG) and name[start:]}


def read_trace(headers: Mapping[str, str] | None) -> dict[str, str]:
    """The trace context in `headers`: ``traceparent`` and, where there is one, ``tracestate``; empty if not valid."""
    parent = headers.get(TRACEPARENT, "") if headers else ""
    if not headers or not _PARENT.fullmatch(parent):
        return {}
    state = headers.get(TRACESTATE, "")
    if not state or len(state) > _MAX_STATE or not (state.isascii() and state.isprintable()):
        return {TRACEPARENT: parent}
    return {TRACEPARENT: parent, TRACESTATE: state}


def trace_id(parent: str) -> str:
    """The id of the trace in a ``traceparent``; empty where it is none."""
    return parent.split("-")[1] if _PARENT.fullmatch(parent) else ""


def set_trace(trace: Mapping[str, str]) -> None:
    """Let what is enqueued from here on in this context belong to `trace` (`read_trace`), where no span is current."""
    _given.set(trace)


def continue_trace(parent: str) -> None:
    """Let what is done from here on, in this context, belong to the span of another process that `parent` names.

    Where OpenTelemetry is in use here, its spans become children of that one; jobs that are enqueued do in any case.
    """
    trace = read_trace({TRACEPARENT: parent})
    set_trace(trace)
    if trace and "opentelemetry.trace" in sys.modules:
        from opentelemetry import context
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context.attach(TraceContextTextMapPropagator().extract(trace))


def current_trace() -> Mapping[str, str] | None:
    """The trace context of the current OpenTelemetry span, else the one of `set_trace`. Never imports OpenTelemetry."""
    trace: Any = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return _given.get()
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return _given.get()
    found = {TRACEPARENT: f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"}
    if state := context.trace_state.to_header():
        found[TRACESTATE] = state
    return found


def _encode(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"tag {name!r} is a {type(value).__name__}: tags are text, use str(...)")
    if value.isascii() and value.isprintable() and "%" not in value and value == value.strip():
        return value
    try:
        return quote(value, safe=_SAFE)
    except UnicodeEncodeError as error:
        raise ConfigurationError(
            f"tag {name!r} holds half a surrogate pair, which is no text: {error.reason}"
        ) from error


def _decode(value: str) -> str:
    return unquote(value, errors="replace") if "%" in value else value
