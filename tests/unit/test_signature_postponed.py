"""Annotations that are text until somebody asks: resolved where that is possible, refused clearly where it is not."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from naq.codec.signature import Signature
from naq.exceptions import ConfigurationError, SerializationError

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Receipt:
    id: str
    at: datetime | None = None


class Sender:
    def send(self, receipt: Receipt) -> Receipt:
        return receipt


class Caller:
    def __call__(self, receipt: Receipt) -> None: ...


def logged(func: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(func)
    def inner(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return inner


def send(receipt: Receipt, when: datetime | None = None) -> Receipt:
    return Receipt(receipt.id, when)


def unresolvable(price: Decimal) -> None: ...
def broken(a: Any) -> None: ...


broken.__annotations__["a"] = "1 / 0"


@dataclass
class Hidden:
    price: Decimal


def unresolvable_inside(item: Hidden) -> None: ...


RECEIPT = Receipt("x", datetime(2026, 7, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "func",
    [send, Sender().send, Caller(), logged(send), functools.partial(send, when=None)],
    ids=["function", "method", "callable", "decorated", "partial"],
)
def test_postponed_annotations_are_resolved(func: Callable[..., Any]):
    signature = Signature.of(func)
    assert signature.decode(*signature.encode((RECEIPT,), {})) == ((RECEIPT,), {})
    with pytest.raises(SerializationError, match="expects Receipt, got str 'x'"):
        signature.encode(("x",), {})


def test_the_result_comes_back_as_annotated():
    signature = Signature.of(send)
    assert signature.decode_result(signature.encode_result(RECEIPT)) == RECEIPT


@pytest.mark.parametrize("func", [unresolvable, broken])
def test_what_cannot_be_resolved_is_refused_at_declaration(func: Callable[..., Any]):
    with pytest.raises(
        ConfigurationError, match=r"^task 'shop.price': its annotations cannot be resolved .*TYPE_CHECKING"
    ):
        Signature.of(func, "shop.price")


def test_what_cannot_be_resolved_inside_a_class_names_the_parameter():
    with pytest.raises(ConfigurationError, match=r"^task 'unresolvable_inside': parameter 'item' is a Hidden.*Decimal"):
        Signature.of(unresolvable_inside)
