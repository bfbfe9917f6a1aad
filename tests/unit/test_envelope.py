"""The wire envelope: what is in it, that it comes back, and what a message from anybody else may say."""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from naq.codec.envelope import MAX_ERRORS, NO_ARGS, NO_KWARGS, Envelope, decode_envelope, encode_envelope, next_payload
from naq.exceptions import PayloadTooLarge, SerializationError
from naq.job import AttemptError, Frame
from naq.retry import Backoff, RetryWire

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
TIME = st.floats(0, 4e9)
IDS = st.from_regex(r"\A[A-Za-z0-9_-]{0,64}\Z")
FRAMES = st.builds(Frame, st.text(), st.integers(0, 10**6), st.text(), st.text())
ERRORS = st.builds(AttemptError, type=st.text(), message=st.text(), at=TIME, frames=st.lists(FRAMES, max_size=2))
ENVELOPES = st.builds(
    Envelope,
    v=st.just(1),
    task=st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_.:-]{0,199}\Z"),
    args=st.lists(JSON, max_size=3).map(lambda value: Raw(msgspec.json.encode(value))),
    kwargs=st.dictionaries(st.text(), JSON, max_size=3).map(lambda value: Raw(msgspec.json.encode(value))),
    at=TIME,
    timeout=st.none() | st.floats(0.001, 1e6),
    retry=st.none()
    | st.builds(
        RetryWire, max_attempts=st.integers(1, 9), backoff=st.sampled_from(get_args(Backoff)), base=st.floats(0, 9)
    ),
    expires_at=st.none() | TIME,
    errors=st.lists(ERRORS, max_size=2),
    parent=IDS,
    root=IDS,
)


def as_data(envelope: Envelope) -> dict[str, Any]:
    data = {name: getattr(envelope, name) for name in envelope.__struct_fields__}
    return data | {name: msgspec.json.decode(data[name]) for name in ("args", "kwargs")}


@given(ENVELOPES)
def test_an_envelope_comes_back_as_it_was(envelope: Envelope):
    payload = encode_envelope(envelope)
    assert as_data(decode_envelope(payload)) == as_data(envelope)
    assert encode_envelope(decode_envelope(payload)) == payload


def test_the_smallest_message_is_a_job():
    envelope = decode_envelope(b'{"v":1,"task":"hello"}')
    assert envelope == Envelope(v=1, task="hello")
    assert envelope.args is NO_ARGS
    assert envelope.kwargs is NO_KWARGS


def test_defaults_are_left_out():
    assert encode_envelope(Envelope(v=1, task="hello")) == b'{"v":1,"task":"hello"}'


def test_what_people_type_is_a_job():
    payload = b' { "task": "hello", "args": [ "x", {"a": [1, 2]} ], "v": 1,\n "later": {"x": null}, "retry": {} }\n'
    envelope = decode_envelope(payload)
    assert msgspec.json.decode(envelope.args) == ["x", {"a": [1, 2]}]
    assert envelope.retry == RetryWire()


def decode_or_reason(payload: bytes) -> Envelope | str:
    try:
        return decode_envelope(payload)
    except SerializationError as error:
        return str(error)


@given(st.binary())
def test_any_bytes_are_an_envelope_or_a_serialization_error(payload: bytes):
    with pytest.raises(SerializationError, match=r"^malformed job: "):
        decode_envelope(payload)


@given(st.dictionaries(st.sampled_from(Envelope.__struct_fields__) | st.text(), JSON | st.just(1)))
def test_any_object_is_an_envelope_or_a_serialization_error(value: dict[str, Any]):
    outcome = decode_or_reason(msgspec.json.encode(value))
    if isinstance(outcome, Envelope):
        assert (value["v"], value["task"]) == (1, outcome.task)
    else:
        assert len(outcome) < 400


@given(ENVELOPES, st.data())
def test_a_damaged_message_never_raises_anything_else(envelope: Envelope, data: st.DataObject):
    payload = bytearray(encode_envelope(envelope))
    for _ in range(data.draw(st.integers(1, 3))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    outcome = decode_or_reason(bytes(payload))
    assert isinstance(outcome, Envelope) or outcome.startswith("malformed job: ")


def refusal(payload: bytes) -> str:
    with pytest.raises(SerializationError) as caught:
        decode_envelope(payload)
    return str(caught.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (b'"v":2,"task":"a"', "version 2 of the wire format is unknown"),
        (b'"v":2,"something":{"else":[1]}', "version 2 of the wire format is unknown"),
        (b'"v":"1","task":"a"', "version '1' of the wire format is unknown"),
        (b'"v":1.0,"task":"a"', "got `float` - at `$.v`"),
        (b'"v":true,"task":"a"', "got `bool` - at `$.v`"),
        (b'"v":99999999999999999999999999,"task":"a"', "version 99999999999999999999999999 of"),
        (b'"task":"a"', "missing required field `v`"),
        (b'"v":1', "missing required field `task`"),
        (b'"v":1,"task":null', "Expected `str`, got `null` - at `$.task`"),
        (b'"v":1,"task":""', "is no task name"),
        (b'"v":1,"task":"os system"', "is no task name"),
        (b'"v":1,"task":"a\\nb"', "is no task name"),
        (b'"v":1,"task":"a.*"', "is no task name"),
        (b'"v":1,"task":"' + b"x" * 5000 + b'"', "is no task name"),
        (b'"v":1,"task":"\\ud800"', "malformed"),
        (b'"v":1,"task":"a","args":{}', "args is not an array"),
        (b'"v":1,"task":"a","args":null', "args is not an array"),
        (b'"v":1,"task":"a","kwargs":[]', "kwargs is not an object"),
        (b'"v":1,"task":"a","kwargs":5', "kwargs is not an object"),
        (b'"v":1,"task":"a","args":[NaN]', "malformed"),
        (b'"v":1,"task":"a","at":NaN', "malformed"),
        (b'"v":1,"task":"a","at":-1', "`$.at`"),
        (b'"v":1,"task":"a","at":1e999', "`$.at`"),
        (b'"v":1,"task":"a","at":1e15', "`$.at`"),
        (b'"v":1,"task":"a","at":true', "`$.at`"),
        (b'"v":1,"task":"a","timeout":0', "`$.timeout`"),
        (b'"v":1,"task":"a","timeout":"5"', "`$.timeout`"),
        (b'"v":1,"task":"a","expires_at":-5', "`$.expires_at`"),
        (b'"v":1,"task":"a","retry":{"max_attempts":0}', "`$.retry.max_attempts`"),
        (b'"v":1,"task":"a","retry":{"max_attempts":1e3}', "`$.retry.max_attempts`"),
        (b'"v":1,"task":"a","retry":{"max_attempts":true}', "`$.retry.max_attempts`"),
        (b'"v":1,"task":"a","retry":{"backoff":"random"}', "`$.retry.backoff`"),
        (b'"v":1,"task":"a","retry":{"delays":[1,-1]}', "`$.retry.delays[1]`"),
        (b'"v":1,"task":"a","retry":{"base":1e300}', "`$.retry.base`"),
        (b'"v":1,"task":"a","errors":[{"type":1,"message":""}]', "`$.errors[0].type`"),
        (b'"v":1,"task":"a","parent":"a.b"', "`$.parent`"),
        (b'"v":1,"task":"a","root":"a\\n"', "`$.root`"),
        (b'"v":1,"task":"a","parent":"' + b"x" * 65 + b'"', "`$.parent`"),
    ],
)
def test_what_is_wrong_is_said(fields: bytes, reason: str):
    text = refusal(b"{" + fields + b"}")
    assert text.startswith("malformed job: ")
    assert reason in text
    assert len(text) < 300


@pytest.mark.parametrize("field", ["v", "task", "args", "at", "unknown"])
def test_a_field_that_is_given_twice_is_refused(field: str):
    values = {"v": "1", "task": '"a"', "args": "[]", "at": "5", "unknown": "0"}
    once = ",".join(f'"{name}":{value}' for name, value in values.items())
    assert decode_envelope(f"{{{once}}}".encode()).task == "a"
    assert f"the field {field!r} is given twice" in refusal(f'{{{once},"{field}":{values[field]}}}'.encode())


def test_a_field_that_is_given_twice_in_two_spellings_is_refused():
    assert "'task' is given twice" in refusal(b'{"v":1,"task":"a","t\\u0061sk":"b"}')


@pytest.mark.parametrize("where", ['"args":[%s]', '"kwargs":{"a":%s}', '"unknown":%s'])
@pytest.mark.parametrize(("start", "end"), [("[", "]"), ('{"a":', "}")])
def test_depth_is_limited_wherever_it_is(where: str, start: str, end: str):
    def message(depth: int) -> bytes:
        return f'{{"v":1,"task":"a",{where % (start * depth + "1" + end * depth)}}}'.encode()

    inner = 63 if "unknown" in where else 62
    assert decode_envelope(message(inner)).task == "a"
    for depth in (inner + 1, 100, 500, 100_000):
        text = refusal(message(depth))
        assert "nested" in text


def test_many_brackets_that_are_not_deep_are_fine():
    flat = ",".join(["[]", "{}", r'"[[[[{{{{\"[["'] * 50_000)
    assert decode_envelope(f'{{"v":1,"task":"a","args":[{flat}]}}'.encode()).task == "a"


def test_a_size_limit():
    envelope = Envelope(v=1, task="mail.send", args=Raw(b'["' + b"x" * 100 + b'"]'))
    size = len(encode_envelope(envelope))
    assert len(encode_envelope(envelope, limit=size)) == size
    with pytest.raises(PayloadTooLarge, match=rf"'mail.send' is {size} bytes, more than the limit of {size - 1}"):
        encode_envelope(envelope, limit=size - 1)


def test_a_message_over_the_limit_is_not_read():
    payload = b'{"v":1,"task":"a"}'
    assert decode_envelope(payload, limit=len(payload)).task == "a"
    with pytest.raises(PayloadTooLarge, match="malformed job: 18 bytes, more than the limit of 17"):
        decode_envelope(payload, limit=17)


def test_text_that_is_none_cannot_be_encoded():
    with pytest.raises(SerializationError, match="job of task 'a' cannot be encoded"):
        encode_envelope(Envelope(v=1, task="a", parent="\ud800"))


def failed(attempt: int) -> AttemptError:
    frames = [Frame("/srv/app/tasks.py", 10, "send", "raise OSError")] * 20
    return AttemptError(type="builtins.OSError", message="m" * 500, attempt=attempt, at=5.0, frames=frames)


def test_the_next_attempt_carries_the_errors_so_far():
    envelope = Envelope(v=1, task="a", args=Raw(b"[1]"), at=5.0)
    for attempt in range(1, 13):
        envelope = decode_envelope(next_payload(envelope, failed(attempt)))
    assert [error.attempt for error in envelope.errors] == list(range(13 - MAX_ERRORS, 13))
    assert bytes(envelope.args) == b"[1]"
    assert envelope.at == 5.0


@pytest.mark.parametrize(("limit", "attempts", "frames"), [(9000, [8, 9, 10], 20), (3000, [10], 20), (900, [10], 0)])
def test_errors_give_way_to_the_limit_and_arguments_do_not(limit: int, attempts: list[int], frames: int):
    envelope = Envelope(v=1, task="a", args=Raw(b'["kept"]'), errors=[failed(attempt) for attempt in range(1, 10)])
    payload = next_payload(envelope, failed(10), limit=limit)
    after = decode_envelope(payload)
    assert len(payload) <= limit
    assert [error.attempt for error in after.errors] == attempts
    assert {len(error.frames) for error in after.errors} == {frames}
    assert bytes(after.args) == b'["kept"]'


def test_a_job_without_room_for_any_error_still_goes_on():
    envelope = Envelope(v=1, task="a", args=Raw(b'["' + b"x" * 100 + b'"]'))
    bare = len(encode_envelope(envelope))
    assert decode_envelope(next_payload(envelope, failed(1), limit=bare)).errors == []
    with pytest.raises(PayloadTooLarge):
        next_payload(envelope, failed(1), limit=bare - 1)
