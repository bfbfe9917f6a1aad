"""How arguments bind: every kind of parameter, defaults, names, and calls that do not fit."""

import functools
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from naq.codec.envelope import NO_KWARGS
from naq.codec.signature import Signature
from naq.exceptions import SerializationError


def plain(a: int, b: str = "b", c: float = 1.5) -> None: ...
def strict(a: int, /, b: int, *, c: int, d: int = 4) -> None: ...
def many(a: int, *rest: int, **extra: str) -> None: ...
def anything(*args: Any, **kwargs: Any) -> None: ...
def nothing() -> None: ...
def shadow(a: int, /, **extra: str) -> None: ...


FITS: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (plain, (1,), {}),
    (plain, (1, "x"), {}),
    (plain, (1, "x", 2.5), {}),
    (plain, (1,), {"c": 2.5}),
    (plain, (), {"a": 1}),
    (plain, (), {"c": 2.5, "b": "x", "a": 1}),
    (strict, (1, 2), {"c": 3}),
    (strict, (1,), {"b": 2, "c": 3, "d": 5}),
    (many, (1,), {}),
    (many, (1, 2, 3), {}),
    (many, tuple(range(40)), {"x": "y"}),
    (many, (), {"a": 1, "z": "z"}),
    (anything, (1, "a", None), {"k": [1], "é": 2}),
    (anything, (), {}),
    (nothing, (), {}),
    (shadow, (1,), {"a": "also a"}),
    (functools.partial(plain, c=9.5), (1,), {"b": "x"}),
]


@pytest.mark.parametrize(("func", "args", "kwargs"), FITS)
def test_a_call_arrives_as_it_was_made(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]):
    signature = Signature.of(func)
    for _ in range(2):  # the second time by what was learnt from the first
        encoded = signature.encode(args, kwargs)
        assert msgspec.json.decode(encoded[0]) == msgspec.to_builtins(list(args))
        assert signature.decode(*encoded) == (args, kwargs)


MISFITS: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (plain, (), {}, "missing a required argument: 'a'"),
    (plain, (1, "x", 2.5, 4), {}, "too many positional arguments"),
    (plain, (1,), {"a": 2}, "multiple values for argument 'a'"),
    (plain, (1,), {"z": 2}, "unexpected keyword argument 'z'"),
    (strict, (1, 2), {}, "missing a required .*argument: 'c'"),
    (strict, (1, 2, 3), {"c": 3}, "too many positional arguments"),
    (strict, (), {"a": 1, "b": 2, "c": 3}, "'a'"),
    (many, (), {}, "missing a required argument: 'a'"),
    (nothing, (1,), {}, "too many positional arguments"),
    (nothing, (), {"x": 1}, "unexpected keyword argument 'x'"),
]


@pytest.mark.parametrize(("func", "args", "kwargs", "reason"), MISFITS)
def test_a_call_that_does_not_fit_is_refused_on_both_sides(func: Any, args: Any, kwargs: Any, reason: str):
    signature = Signature.of(func, "shop.task")
    pattern = rf"^task 'shop.task' cannot be called with these arguments: .*{reason}"
    for _ in range(2):
        with pytest.raises(SerializationError, match=pattern):
            signature.encode(args, kwargs)
        with pytest.raises(SerializationError, match=pattern):
            signature.decode(Raw(msgspec.json.encode(args)), Raw(msgspec.json.encode(kwargs)))


def test_no_names_are_no_field_of_the_envelope():
    assert Signature.of(plain).encode((1,), {})[1] is NO_KWARGS


def test_an_empty_object_is_no_names():
    assert Signature.of(plain).decode(Raw(b"[1]"), Raw(b" { } ")) == ((1,), {})


def test_ways_to_call_do_not_pile_up():
    names = [f"p{n}" for n in range(10)]
    source = f"def wide({', '.join(f'{name}: int = 0' for name in names)}): ..."
    scope: dict[str, Any] = {}
    exec(source, scope)
    signature = Signature.of(scope["wide"])
    for mask in range(1, 1024):
        kwargs = {name: 1 for bit, name in enumerate(names) if mask >> bit & 1}
        assert signature.decode(*signature.encode((), kwargs)) == ((), kwargs)
    assert len(signature._shapes) <= 64  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("payload", [b"", b"[", b"{}", b"null", b"5", b"[1] x", b'["\xff"]', b'["\\ud800"]', b"\xff"])
def test_what_is_no_array_is_refused(payload: bytes):
    with pytest.raises(SerializationError, match=r"^task 'plain'"):
        Signature.of(plain).decode(Raw(payload))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b'{"a"}', b"{1:2}", b'{"b":"\xff"}', b'{"b":"\\ud800"}'])
def test_what_is_no_object_is_refused(payload: bytes):
    with pytest.raises(SerializationError, match=r"^task 'plain'"):
        Signature.of(plain).decode(Raw(b"[1]"), Raw(payload))


def test_a_name_given_twice_counts_once_and_the_last_wins():
    assert Signature.of(plain).decode(Raw(b"[1]"), Raw(b'{"b":"x","b":"y"}')) == ((1,), {"b": "y"})
