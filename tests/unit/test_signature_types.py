"""Values survive the trip by their annotation, whatever their type, and by either way of giving them."""

import dataclasses
import enum
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, Optional, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from naq.codec.signature import Signature
from naq.exceptions import SerializationError

T = TypeVar("T")
UserId = NewType("UserId", int)
NOW = datetime(2026, 7, 1, 12, 30, 15, 123456, tzinfo=UTC)
BERLIN = timezone(timedelta(hours=2))


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Size(enum.IntEnum):
    S = 1
    L = 2


@dataclasses.dataclass
class Item:
    sku: str
    price: Decimal
    tags: set[str] = dataclasses.field(default_factory=set[str])


@dataclasses.dataclass(frozen=True)
class Order:
    id: UUID
    items: list[Item]
    at: datetime
    note: str | None = None


class Point(msgspec.Struct, frozen=True):
    x: float
    y: float


class Circle(msgspec.Struct, tag="circle"):
    center: Point
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


class Pair(NamedTuple):
    left: int
    right: datetime


class Options(TypedDict):
    size: Size
    when: NotRequired[date]


class Box(msgspec.Struct, Generic[T]):
    content: T


@dataclasses.dataclass
class Tree:
    name: str
    children: list["Tree"] = dataclasses.field(default_factory=list["Tree"])


ORDER = Order(UUID(int=1), [Item("a", Decimal("1.10"), {"x", "y"}), Item("b", Decimal("0.00"))], NOW)

CASES: list[tuple[Any, Any]] = [
    (Any, {"a": [1, 2.5, "x", None, True]}),
    (object, [1, "a"]),
    (str, "Grüße\x00\n\u2028😀"),
    (int, 2**63),
    (int, -(10**30)),
    (float, 3),
    (float, -0.1),
    (bool, True),
    (None, None),
    (bytes, b"\x00\xff"),
    (bytearray, bytearray(b"ab")),
    (datetime, NOW),
    (datetime, NOW.astimezone(BERLIN)),
    (date, date(2026, 2, 28)),
    (time, time(23, 59, 59, 5)),
    (timedelta, timedelta(days=-3, microseconds=7)),
    (UUID, UUID(int=2)),
    (Decimal, Decimal("1.10")),
    (Decimal, Decimal("NaN")),
    (Color, Color.RED),
    (Size, Size.L),
    (Literal["a", 5], 5),
    (UserId, 7),
    (Annotated[int, msgspec.Meta(ge=1)], 1),
    (Optional[datetime], None),  # noqa: UP045 - people write it
    (Optional[datetime], NOW),  # noqa: UP045
    (int | str | None, "x"),
    (int | list[int], [1]),
    (Circle | Square, Square(2.0)),
    (list[datetime], [NOW]),
    (set[UUID], {UUID(int=3), UUID(int=4)}),
    (frozenset[int], frozenset({1, 2})),
    (tuple[int, str], (1, "a")),
    (tuple[Color, ...], (Color.RED, Color.BLUE)),
    (dict[str, Decimal], {"a": Decimal(1)}),
    (dict[int, str], {1: "a"}),
    (dict[UUID, Color], {UUID(int=5): Color.BLUE}),
    (Sequence[int], [1, 2]),
    (Mapping[str, int], {"a": 1}),
    (Item, ORDER.items[0]),
    (Order, ORDER),
    (list[Order], [ORDER, ORDER]),
    (Point, Point(1.0, 2.0)),
    (Pair, Pair(1, NOW)),
    (Options, {"size": Size.S, "when": date(2026, 1, 1)}),
    (Options, {"size": Size.S}),
    (Box[date], Box(date(2026, 1, 1))),
    (Tree, Tree("a", [Tree("b"), Tree("c", [Tree("d")])])),
    (Path, Path("/srv/data")),
    (PurePosixPath | None, PurePosixPath("a/b")),
    (list[Path], [Path("a"), Path("b")]),
]


def task_for(annotation: Any) -> Signature:
    def work(value: Any) -> Any:
        return value

    work.__annotations__ = {"value": annotation, "return": annotation}
    return Signature.of(work)


@pytest.mark.parametrize(("annotation", "value"), CASES, ids=lambda one: str(one)[:40])
def test_a_value_arrives_as_it_was(annotation: Any, value: Any):
    signature = task_for(annotation)
    (by_position,), none = signature.decode(*signature.encode((value,), {}))
    nothing, by_name = signature.decode(*signature.encode((), {"value": value}))
    result = signature.decode_result(signature.encode_result(value))
    assert (none, nothing, set(by_name)) == ({}, (), {"value"})
    for arrived in (by_position, by_name["value"], result):
        assert type(arrived) is (float if annotation is float else type(value))
        assert arrived == value or (value != value and arrived.is_nan())


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**70), 2**70)
        | st.floats(allow_nan=False, allow_infinity=False)
        # Half a surrogate pair is no text; hypothesis leaves them out where text has to be encoded.
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
        max_leaves=20,
    )
)
def test_any_json_value_passes_without_an_annotation(value: Any):
    def work(value): ...  # pyright: ignore[reportMissingParameterType, reportUnknownParameterType]

    signature = Signature.of(work)  # pyright: ignore[reportUnknownArgumentType]
    assert signature.decode(*signature.encode((value,), {})) == ((value,), {})


@given(st.datetimes(timezones=st.none() | st.timezones() | st.just(UTC)).filter(lambda at: at.year > 1972))
def test_a_datetime_is_the_same_moment_and_always_has_an_offset(at: datetime):
    signature = task_for(datetime)
    (arrived,), _ = signature.decode(*signature.encode((at,), {}))
    assert arrived.tzinfo is not None
    assert arrived.astimezone(UTC) == (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC))


@dataclasses.dataclass(frozen=True)
class Holder:
    at: datetime
    more: dict[str, list[datetime]]


NAIVE = datetime(2026, 7, 1, 12, 0)  # noqa: DTZ001 - the point of these tests
AWARE = NAIVE.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("annotation", "given", "arrives"),
    [
        (datetime, NAIVE, AWARE),
        (datetime | None, NAIVE, AWARE),
        (list[datetime], [NAIVE, NOW], [AWARE, NOW]),
        (tuple[str, datetime], ("a", NAIVE), ("a", AWARE)),
        (set[datetime], {NAIVE}, {AWARE}),
        (frozenset[datetime], frozenset({NAIVE}), frozenset({AWARE})),
        (dict[str, datetime], {"a": NAIVE}, {"a": AWARE}),
        (dict[datetime, int], {NAIVE: 1}, {AWARE: 1}),
        (Pair, Pair(1, NAIVE), Pair(1, AWARE)),
        (Holder, Holder(NAIVE, {"a": [NAIVE]}), Holder(AWARE, {"a": [AWARE]})),
        (Box[datetime], Box(NAIVE), Box(AWARE)),
        (Box[Box[datetime]], Box(Box(NAIVE)), Box(Box(AWARE))),
        (dict[str, Any], {"a": "2026-07-01T12:00:00"}, {"a": "2026-07-01T12:00:00"}),
    ],
    ids=lambda one: str(one)[:40],
)
def test_a_datetime_without_an_offset_is_utc_wherever_it_is(annotation: Any, given: Any, arrives: Any):
    signature = task_for(annotation)
    assert signature.decode(*signature.encode((given,), {})) == ((arrives,), {})
    assert signature.decode(*signature.encode((), {"value": given})) == ((), {"value": arrives})
    assert signature.decode_result(signature.encode_result(given)) == arrives


def test_the_caller_keeps_its_own_objects():
    box = Box(NAIVE)
    signature = task_for(Box[datetime])
    signature.decode(*signature.encode((box,), {}))
    assert box.content is NAIVE


def test_text_that_looks_like_a_datetime_stays_text():
    def work(text: str, at: datetime): ...

    signature = Signature.of(work)
    assert signature.decode(*signature.encode(("2026-07-01T12:00:00", NAIVE), {}))[0] == ("2026-07-01T12:00:00", AWARE)


class Text(str):
    __slots__ = ()


class Count(int):
    pass


class Moment(datetime):
    pass


FORGIVEN: list[tuple[Any, Any, Any]] = [
    (str, Text("a"), "a"),
    (int, Count(5), 5),
    (datetime, Moment(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)),
    (Any, Text("a"), "a"),
    (list[int], (1, 2), [1, 2]),
    (tuple[int, ...], [1, 2], (1, 2)),
    (set[int], frozenset({1}), {1}),
    (Any, ({"a": (1, ())},), [{"a": [1, []]}]),
    (float, 5, 5.0),
    (bytes, bytearray(b"a"), b"a"),
    (Decimal, 5, Decimal(5)),
]


@pytest.mark.parametrize(("annotation", "given", "arrives"), FORGIVEN, ids=str)
def test_what_python_takes_for_the_type_arrives_as_the_type(annotation: Any, given: Any, arrives: Any):
    signature = task_for(annotation)
    (arrived,), _ = signature.decode(*signature.encode((given,), {}))
    assert arrived == arrives
    assert type(arrived) is type(arrives)


def test_a_class_without_equality_arrives():
    @dataclasses.dataclass(eq=False)
    class Plain:
        a: int
        b: list[str]

    signature = task_for(Plain)
    (arrived,), _ = signature.decode(*signature.encode((Plain(1, ["x"]),), {}))
    assert (arrived.a, arrived.b) == (1, ["x"])


def test_protocols_and_abstract_classes_say_nothing_about_the_form():
    class Sized(typing.Protocol):
        def __len__(self) -> int: ...

    for annotation in (Sized, typing.Iterable[int], typing.Hashable, T):
        signature = task_for(annotation)
        assert signature.decode(*signature.encode(([1],), {}))[0] == ([1],)


def everything(
    a: int, b: Order | None = None, *rest: datetime, c: dict[UUID, Decimal] | None = None, **extra: Circle | Square
) -> None: ...


PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
PLAUSIBLE = st.sampled_from(["2026-07-01T12:00:00", "1.5", str(UUID(int=1)), "circle", "square", "P1D"])
JSON = st.recursive(
    PLAIN | PLAUSIBLE,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "items", "at", "type", "side", "sku", "price"]) | st.text(), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(st.lists(JSON, max_size=4), st.dictionaries(st.sampled_from("abc") | st.text(), JSON, max_size=3))
def test_any_json_fits_the_function_or_is_a_serialization_error(args: list[Any], kwargs: dict[str, Any]):
    signature = Signature.of(everything)
    try:
        values, named = signature.decode(Raw(msgspec.json.encode(args)), Raw(msgspec.json.encode(kwargs)))
    except SerializationError:
        return
    everything(*values, **named)
    # What was read can be sent on, and is the same again.
    assert signature.decode(*signature.encode(values, named)) == (values, named)


@given(st.binary(), st.binary())
def test_any_bytes_fit_the_function_or_are_a_serialization_error(args: bytes, kwargs: bytes):
    with pytest.raises(SerializationError):
        Signature.of(everything).decode(Raw(args), Raw(kwargs))
