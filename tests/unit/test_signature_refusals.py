"""What is wrong is refused before anything is stored, and the message says enough to mend it."""

import dataclasses
import socket
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Never, Self
from uuid import UUID

import msgspec
import pytest
from msgspec import Raw

from naq.codec.signature import Signature
from naq.exceptions import ConfigurationError, PayloadTooLarge, SerializationError

NAN = float("nan")
ODD = timezone(timedelta(hours=1, seconds=7))


@dataclasses.dataclass
class Item:
    sku: str
    price: Decimal | None = None


@dataclasses.dataclass
class SoldItem(Item):
    buyer: str = ""


@dataclasses.dataclass
class Fussy:
    n: int

    def __post_init__(self) -> None:
        if self.n == 13:
            raise KeyError("thirteen")


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def task_for(annotation: Any, name: str = "shop.task") -> Signature:
    def work(value: Any = None) -> None: ...

    work.__annotations__ = {"value": annotation} if annotation is not Any else {}
    return Signature.of(work, name)


WRONG: list[tuple[Any, Any, str]] = [
    (str, 1, "expects str, got int 1$"),
    (int, "1", "expects int, got str '1'$"),
    (int, 1.0, r"expects int, got float 1\.0$"),
    (int, True, "expects int, got bool True$"),
    (float, True, "expects float, got bool True$"),
    (float, "1", "expects float, got str"),
    (float, NAN, "expects float, got float nan"),
    (float, float("inf"), "expects float, got float inf"),
    (float, 2**53 + 1, "expects float, got int 9007199254740993$"),
    (bool, 1, "expects bool, got int 1$"),
    (str, b"a", "expects str, got bytes b'a'$"),
    (bytes, "abcd", "expects bytes, got str 'abcd'$"),
    (bytes, "no base64!", "expects bytes, got str 'no base64!': Invalid base64"),
    (datetime, "2026-07-01T12:00:00Z", "expects datetime, got str '2026-07-01T12:00:00Z'$"),
    (datetime, 1_790_000_000, "expects datetime, got int 1790000000$"),
    (datetime, date(2026, 7, 1), "expects datetime, got date datetime.date"),
    (date, datetime(2026, 7, 1, tzinfo=UTC), "expects date, got datetime"),
    (datetime, datetime(2026, 7, 1, tzinfo=ODD), "expects datetime, got .*, which would arrive as datetime"),
    (timedelta, 5, "expects timedelta, got int 5"),
    (UUID, "123e4567-e89b-12d3-a456-426614174000", "expects UUID, got str"),
    (Decimal, "1.5", r"expects Decimal, got str '1\.5'$"),
    (datetime | None, "x", r"expects datetime\.datetime \| None, got str 'x'"),
    (Item, {"sku": "a"}, "expects Item, got dict"),
    (Item, SoldItem("a", None, "b"), "expects Item, got SoldItem"),
    (Item, Item(5), r"expects Item, got Item .*: Expected `str`, got `int` - at `\$.sku`"),  # pyright: ignore[reportArgumentType]
    (list[int], ["a"], r"expects list\[int\], got list \['a'\]: .* at `\$\[0\]`"),
    (
        list[datetime],
        ["2026-07-01T12:00:00Z"],
        "got list .*: str '2026-07-01T12:00:00Z' in it would arrive as datetime",
    ),
    (dict[str, UUID], {"a": "123e4567-e89b-12d3-a456-426614174000"}, "str .* in it would arrive as UUID"),
    (set[int], [1], r"expects set\[int\], got list"),
    (tuple[int, int], (1, 2, 3), "got tuple .*: Expected `array` of length 2"),
    (dict[str, Any], {"a": {1: 2}}, "int 1 in it would arrive as str"),
    (dict[str, Any], {"a": NAN}, "float nan in it would arrive as NoneType"),
    (Any, (1, {"at": date(2026, 7, 1)}), "not annotated, .*: date datetime.date.* would arrive as str; annotate it"),
    (Any, b"x", "not annotated, .* bytes b'x' would arrive as str; annotate it"),
    (Any, {1}, "not annotated, .* set .1. would arrive as list; annotate it"),
    (Any, {1: 2}, "not annotated, .* int 1 would arrive as str; annotate it"),
    (Any, Item("a"), "not annotated, .* Item .* would arrive as dict; annotate it"),
    (Any, [1, NAN], "not annotated, .* float nan would arrive as NoneType"),
    (Any, "\ud800", "cannot be stored as JSON: text that is not valid UTF-8"),
    (str, "\ud800", r"\(str\): str '\\ud800' cannot be stored"),
    (Any, lambda: 1, "function <function .* cannot be stored as JSON: .*; pass plain data"),
    (Any, threading.Lock(), "lock .* cannot be stored as JSON: lock has no JSON form; pass plain data"),
    (Any, [object()], "list .* cannot be stored as JSON: object has no JSON form"),
    (str, Silent(), "Silent its repr raises RuntimeError cannot be stored"),
    (Fussy, Fussy.__new__(Fussy), "Fussy"),
]


@pytest.mark.parametrize(("annotation", "value", "reason"), WRONG, ids=[str(annotation) for annotation, _, _ in WRONG])
def test_a_wrong_argument_is_named_with_what_was_expected_and_given(annotation: Any, value: Any, reason: str):
    signature = task_for(annotation)
    pattern = rf"(?s)^task 'shop.task': parameter 'value' .*{reason}"
    for args, kwargs in (((value,), {}), ((), {"value": value})):
        with pytest.raises(SerializationError, match=pattern) as caught:
            signature.encode(args, kwargs)
        assert len(str(caught.value)) < 500


def test_a_socket_is_refused():
    with (
        socket.socket() as connection,
        pytest.raises(SerializationError, match=r"'value' \(Any\): socket <socket.* has no JSON form; pass plain data"),
    ):
        task_for(Any).encode((connection,), {})


def test_a_circle_is_refused():
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(SerializationError, match="nested too deep, or in a circle"):
        task_for(Any).encode((circle,), {})


@pytest.mark.parametrize("annotation", [Any, list[Any]])
def test_depth_is_refused_where_the_worker_would_refuse_it(annotation: Any):
    def nested(depth: int) -> list[Any]:
        value: list[Any] = []
        for _ in range(depth - 1):
            value = [value]
        return value

    signature = task_for(annotation)
    signature.encode((nested(62),), {})
    signature.encode((), {"value": nested(62)})
    for depth in (63, 100, 900):
        for args, kwargs in (((nested(depth),), {}), ((), {"value": nested(depth)})):
            with pytest.raises(SerializationError, match="nested more than 62 deep"):
                signature.encode(args, kwargs)


def test_the_first_wrong_argument_of_many_is_named():
    def send(to: str, *cc: str, at: datetime | None = None, **headers: str) -> None: ...

    signature = Signature.of(send)
    calls: list[tuple[tuple[Any, ...], dict[str, Any], str]] = [
        (("a", "b", 5), {}, "parameter 'cc' expects str, got int 5"),
        (("a",), {"x": "y", "z": 1}, "parameter 'z' expects str, got int 1"),
        (("a",), {"at": "now"}, "parameter 'at' expects"),
    ]
    for args, kwargs, reason in calls:
        with pytest.raises(SerializationError, match=reason):
            signature.encode(args, kwargs)


@pytest.mark.parametrize(
    ("annotation", "raw", "reason"),
    [
        (int, b'["1"]', "Expected `int`, got `str`"),
        (int, b"[true]", "Expected `int`, got `bool`"),
        (int, b"[1.0]", "Expected `int`, got `float`"),
        (int, b"[" + b"1" * 5000 + b"]", "out of range"),
        (float, b"[1e999]", "out of range"),
        (Any, b"[1e999]", "out of range"),
        (str, b'["\xff"]', "not valid UTF-8"),
        (datetime, b'["yesterday"]', "Invalid RFC3339"),
        (Item, b'[{"sku":1}]', r"at `\$\.sku`"),
        (Fussy, b'[{"n":13}]', "thirteen"),
    ],
)
def test_a_wrong_argument_from_the_wire_is_named(annotation: Any, raw: bytes, reason: str):
    signature = task_for(annotation)
    by_name = b'{"value":' + raw[1:-1] + b"}"
    for args, kwargs in ((Raw(raw), Raw(b"{}")), (Raw(b"[]"), Raw(by_name))):
        with pytest.raises(SerializationError, match=rf"^task 'shop.task': parameter 'value' does not fit .*{reason}"):
            signature.decode(args, kwargs)


def takes_socket(connection: socket.socket) -> None: ...
def takes_sockets(connections: list[socket.socket]) -> None: ...
def may_take_socket(connection: socket.socket | None = None, n: int = 0) -> None: ...
def gives_socket() -> socket.socket: ...  # pyright: ignore[reportReturnType]
def takes_either(when: datetime | str) -> None: ...
def gives_either() -> Item | Fussy: ...  # pyright: ignore[reportReturnType]
def takes_self(value: Any) -> None: ...


takes_self.__annotations__["value"] = Self


def gives_nothing_ever() -> Never: ...  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("func", "reason"),
    [
        (takes_socket, "parameter 'connection' is a socket, but a socket has no JSON form: pass what the task needs"),
        (takes_sockets, "parameter 'connections' is a list.*, but a socket has no JSON form"),
        (gives_socket, "the result is a socket, but a socket has no JSON form: return the data"),
        (takes_either, r"parameter 'when' is a datetime\.datetime \| str, which JSON cannot carry: .*str-like"),
        (gives_either, "the result is a .*, which JSON cannot carry: .*dataclass"),
        (takes_self, "parameter 'value' is a Self, which JSON cannot carry"),
        (type("NoSignature", (), {"__call__": 5})(), "has no signature that Python can read"),
    ],
)
def test_what_can_never_work_is_refused_at_declaration(func: Callable[..., Any], reason: str):
    with pytest.raises(ConfigurationError, match=rf"^task 'shop.task': .*{reason}"):
        Signature.of(func, "shop.task")


def test_what_may_be_left_out_is_only_refused_when_it_is_given():
    signature = Signature.of(may_take_socket)
    assert signature.decode(*signature.encode((), {"n": 5})) == ((), {"n": 5})
    assert signature.decode(*signature.encode((None,), {})) == ((None,), {})
    with pytest.raises(SerializationError, match=r"'connection' .*lock has no JSON form"):
        signature.encode((threading.Lock(),), {})


def test_a_result_that_is_never_there_needs_no_type():
    assert Signature.of(gives_nothing_ever).decode_result(Raw(b"5")) == 5


def result_of(value: Any, limit: int | None = None) -> Any:
    return msgspec.json.decode(task_for(Any).encode_result(value, limit=limit))


def test_a_result_that_json_has_no_form_for_is_refused():
    circle: list[Any] = []
    circle.append(circle)
    for value in (object(), lambda: 1, [threading.Lock()], "\ud800", {(1, 2): 3}, circle, 1j):
        with pytest.raises(SerializationError, match=r"^task 'shop.task': the result: .* cannot be stored as JSON"):
            result_of(value)


@pytest.mark.parametrize("value", [NAN, [1, float("inf")], {"a": [{"b": -float("inf")}]}, [None, NAN]])
def test_a_result_with_a_number_that_json_lacks_is_refused(value: Any):
    with pytest.raises(SerializationError, match=r"the result holds -?(nan|inf), which JSON has no form for"):
        result_of(value)


@pytest.mark.parametrize("value", [None, [None], {"a": None, "null": "null"}, 0.5, {"a": [1.5, None]}])
def test_a_result_with_nothing_in_it_is_fine(value: Any):
    assert result_of(value) == value


def test_a_result_over_the_limit_is_refused():
    assert result_of("x" * 8, limit=10) == "x" * 8
    with pytest.raises(PayloadTooLarge, match=r"the result is 11 bytes, more than the limit of 10 \(max_result\)"):
        result_of("x" * 9, limit=10)


def test_a_result_of_another_type_is_refused_by_its_reader():
    def count() -> int: ...  # pyright: ignore[reportReturnType]

    signature = Signature.of(count)
    with pytest.raises(SerializationError, match="the result does not fit int: Expected `int`, got `str`"):
        signature.decode_result(signature.encode_result("many"))
    assert signature.decode_result(None) is None
