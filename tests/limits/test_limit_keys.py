"""Keys: values that mean the same have one name, all others have names of their own."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.exceptions import ConfigurationError
from naq.limits.keys import Taker, normal, token
from naq.names import is_token

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Point:
    y: int
    x: int


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1, "b": [2, {"c": 3, "d": 4}]}, {"b": [2, {"d": 4, "c": 3}], "a": 1}),
        (1, 1.0),
        (0, -0.0),
        ([1, 2], (1, 2)),
        ("caf\u00e9", "cafe\u0301"),
        ({"caf\u00e9": 1}, {"cafe\u0301": 1}),
        (Colour.RED, "red"),
        (Point(2, 1), {"x": 1, "y": 2}),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({3, 1, 2}, {2, 3, 1}),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00Z"),
        (Decimal("1.50"), "1.50"),
    ],
)
def test_they_mean_the_same(one: Any, other: Any) -> None:
    assert token(one) == token(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, "1"),
        (1, True),
        (0, False),
        (None, "null"),
        (None, 0),
        ("", None),
        ([1, 2], [2, 1]),
        ([], {}),
        ("a", "A"),
        ("a", "a "),
        (2**70, str(2**70)),
        (2**70, float(2**70)),
        (1.5, 1),
        ([1, [2]], [[1], 2]),
    ],
)
def test_they_do_not(one: Any, other: Any) -> None:
    assert token(one) != token(other)


def test_it_stays_as_it_is_documented() -> None:
    """Keys are stored: another rule would let every job in twice while a new version is rolled out."""
    assert token("mail.send", {"b": [1, 2.0, "é"], "a": None}) == token(
        "mail.send", {"a": None, "b": [1.0, 2, "e\u0301"]}
    )
    assert token("mail.send", 42) == "eb9c0ae39a91a5de5290d386c152e6a1"
    assert len(token(1)) == 32
    assert is_token(token(1))


@given(JSON)
def test_normal_is_normal(value: Any) -> None:
    """What is normal stays so, and the order of names in objects is of no matter."""
    once = normal(value)
    assert normal(once) == once or "int" in str(once)
    assert token(_backwards(value)) == token(value)


def _backwards(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _backwards(each) for name, each in reversed(list(value.items()))}  # pyright: ignore[reportUnknownVariableType,reportUnknownArgumentType]
    if isinstance(value, list):
        return [_backwards(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
    return value


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), {1: 2}, {"\u00e9": 1, "e\u0301": 2}, object(), "\ud800", [lambda: 1], 1j],
)
def test_no_key_can_be_made(value: Any) -> None:
    with pytest.raises(ConfigurationError, match="a key"):
        token(value)


def test_a_key_that_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ConfigurationError, match="deep"):
        token(value)


def _upper(to: str, **_: Any) -> str:
    return to.upper()


def _lacking(to: str, **more: Any) -> Any:
    return more["x" + to]


def _send(to: str, *, count: int = 1, **more: Any) -> None: ...


def test_taken_from_the_arguments() -> None:
    """By name however they were given, defaults included; several; by a function; all of them."""
    assert Taker("t", _send, "to")(("a",), {}) == Taker("t", _send, "to")((), {"to": "a"}) == "a"
    assert Taker("t", _send, "count")(("a",), {}) == 1
    assert Taker("t", _send, ("to", "count"))(("a",), {"count": 2}) == ["a", 2]
    assert Taker("t", _send, _upper)(("a",), {"count": 2}) == "A"
    assert Taker("t", _send, None)(("a",), {"b": 1}) == {"to": "a", "count": 1, "more": {"b": 1}}


def test_a_parameter_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="no parameter 'too'; there are to, count, more"):
        Taker("t", _send, "too")


def test_a_function_that_fails() -> None:
    with pytest.raises(ConfigurationError, match="KeyError"):
        Taker("t", _send, _lacking)(("a",), {})
