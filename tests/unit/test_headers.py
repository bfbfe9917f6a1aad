"""Tags and trace context in headers: they come back, they stay ASCII, and a bad one is refused or left out."""

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, TraceState

from naq.codec.headers import MAX_HEADERS, build_headers, current_trace, read_tags, read_trace
from naq.exceptions import ConfigurationError, PayloadTooLarge

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NAMES = st.from_regex(r"\A[A-Za-z0-9_-]{1,20}\Z")
VALUES = st.text(st.characters(codec="utf-8"), max_size=20)


def test_nothing_needs_no_headers():
    assert build_headers() is None
    assert build_headers({}, {}) is None
    assert build_headers(None, {"traceparent": "rubbish"}) is None
    assert read_tags(None) == read_tags({}) == {}
    assert read_trace(None) == {}


def test_plain_values_are_readable_on_the_wire():
    assert build_headers({"shop": "berlin", "note": "two words & more"}, {"traceparent": PARENT}) == {
        "Naq-Tag-shop": "berlin",
        "Naq-Tag-note": "two words & more",
        "traceparent": PARENT,
    }


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        ("Müller", "M%C3%BCller"),
        ("100%", "100%25"),
        (" a", "%20a"),
        ("a\r\nX: y", "a%0D%0AX:%20y"),
        ("\x00", "%00"),
        ("", ""),
    ],
)
def test_other_values_are_percent_encoded(value: str, wire: str):
    headers = build_headers({"a": value})
    assert headers == {"Naq-Tag-a": wire}
    assert read_tags(headers) == {"a": value}


@given(st.dictionaries(NAMES, VALUES, max_size=8))
def test_tags_come_back_and_are_safe_on_the_wire(tags: dict[str, str]):
    headers = build_headers(tags) or {}
    assert read_tags(headers) == tags
    for name, value in headers.items():
        assert name.isascii()
        assert value.isascii()
        assert value == "" or value.isprintable()
        assert value == value.strip()


@given(st.dictionaries(st.text() | NAMES.map("Naq-Tag-{}".format), st.text()))
def test_headers_from_anybody_never_fail(headers: dict[str, str]):
    assert all(isinstance(value, str) for value in read_tags(headers).values())
    assert set(read_trace(headers)) <= {"traceparent", "tracestate"}


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a.b", "é", "a\r\n", "x" * 65, 5])
def test_a_tag_with_a_hostile_name_is_refused(name: Any):
    with pytest.raises(ConfigurationError, match=r"^tag .* is not allowed"):
        build_headers({name: "x"})


@pytest.mark.parametrize("value", [5, None, b"x", ["x"]])
def test_a_tag_that_is_no_text_is_refused(value: Any):
    with pytest.raises(ConfigurationError, match=r"tag 'a' is a \w+: tags are text, use str"):
        build_headers({"a": value})


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(ConfigurationError, match="tag 'a' holds half a surrogate pair"):
        build_headers({"a": "\ud800"})


def test_a_limit_on_all_of_them_together():
    line = len("Naq-Tag-a: \r\n")
    assert build_headers({"a": "x" * (MAX_HEADERS - line)})
    with pytest.raises(PayloadTooLarge, match=rf"are {MAX_HEADERS + 1} bytes, more than the limit of {MAX_HEADERS}"):
        build_headers({"a": "x" * (MAX_HEADERS - line + 1)})
    with pytest.raises(PayloadTooLarge):
        build_headers({"a": "é" * (MAX_HEADERS // 5)})
    with pytest.raises(PayloadTooLarge):
        build_headers({"a": "x"}, limit=5)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "rubbish",
        PARENT.upper(),
        PARENT + "-01",
        PARENT + "\n",
        PARENT[:-1],
        "ff" + PARENT[2:],
        "00-" + "0" * 32 + PARENT[35:],
        PARENT[:36] + "0" * 16 + PARENT[52:],
    ],
)
def test_a_trace_context_that_is_not_valid_is_left_out(parent: str):
    assert build_headers({"a": "b"}, {"traceparent": parent, "tracestate": "x=y"}) == {"Naq-Tag-a": "b"}
    assert read_trace({"traceparent": parent}) == {}


def test_trace_state_goes_along_unless_it_is_no_header():
    good = {"traceparent": PARENT, "tracestate": "congo=t61,rojo=00f0"}
    assert build_headers(None, good) == good
    assert read_trace({**good, "other": "x"}) == good
    for state in ("", "x" * 513, "a\r\nb", "é"):
        assert build_headers(None, {**good, "tracestate": state}) == {"traceparent": PARENT}
    assert build_headers(None, {"tracestate": "a=b"}) is None


def test_the_current_span_is_the_trace_context():
    assert current_trace() is None
    context = SpanContext(
        0x0AF7651916CD43DD8448EB211C80319C,
        0xB7AD6B7169203331,
        is_remote=False,
        trace_flags=TraceFlags(1),
        trace_state=TraceState([("rojo", "00f0")]),
    )
    with trace.use_span(NonRecordingSpan(context)):
        found = current_trace()
    assert found == {"traceparent": PARENT, "tracestate": "rojo=00f0"}
    assert read_trace(build_headers(None, found)) == found


def test_naq_never_imports_opentelemetry():
    script = """
import sys
from naq.codec.headers import current_trace
assert current_trace() is None
assert "opentelemetry" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
