"""Pydantic models travel where the program has imported pydantic, by pydantic's own rules."""

import subprocess
import sys
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pydantic
import pytest
from msgspec import Raw

from naq.codec.signature import Signature
from naq.exceptions import SerializationError


class Item(pydantic.BaseModel):
    sku: str
    price: Decimal = pydantic.Field(gt=0)


class Order(pydantic.BaseModel):
    id: UUID
    at: datetime
    items: list[Item]
    note: str | None = None

    @pydantic.field_validator("note")
    @classmethod
    def not_rude(cls, note: str | None) -> str | None:
        if note == "crash":
            raise RuntimeError("validators may raise anything")
        return note


class Unwritable(pydantic.BaseModel):
    n: int

    @pydantic.field_serializer("n")
    def refuse(self, n: int) -> int:
        raise RuntimeError(f"cannot write {n}")


ORDER = Order.model_validate(
    {"id": str(UUID(int=5)), "at": "2026-07-01T12:00:00+02:00", "items": [{"sku": "a", "price": "1.10"}]}
)


def work(order: Order, more: list[Item] | None = None) -> Order | None: ...
def loose(value: Any) -> None: ...
def unwritable(value: Unwritable) -> None: ...


def test_a_model_arrives_as_it_was():
    signature = Signature.of(work)
    assert signature.decode(*signature.encode((ORDER, ORDER.items), {})) == ((ORDER, ORDER.items), {})
    assert signature.decode(*signature.encode((), {"order": ORDER})) == ((), {"order": ORDER})
    assert signature.decode_result(signature.encode_result(ORDER)) == ORDER


@pytest.mark.parametrize(
    ("raw", "reason"),
    [(b'[{"sku":"a","price":"1"}]', "missing|required"), (b"[5]", "valid dictionary"), (b"[null]", "valid dictionary")],
)
def test_what_is_no_model_is_refused_by_the_worker(raw: bytes, reason: str):
    with pytest.raises(SerializationError, match=rf"(?s)parameter 'order' does not fit Order: .*({reason})"):
        Signature.of(work).decode(Raw(raw))


def test_what_is_no_model_is_refused_at_enqueue():
    signature = Signature.of(work)
    with pytest.raises(SerializationError, match=r"(?s)parameter 'order' expects Order, got int 5"):
        signature.encode((5,), {})
    with pytest.raises(SerializationError, match=r"(?s)parameter 'order' expects Order, got dict"):
        signature.encode((ORDER.model_dump(mode="json"),), {})
    with pytest.raises(
        SerializationError, match=r"parameter 'value' is not annotated, .* Item .* would arrive as dict"
    ):
        Signature.of(loose).encode((ORDER.items[0],), {})


def test_a_model_that_was_broken_after_it_was_made_is_refused():
    broken = Item.model_construct(sku="a", price=Decimal(-1))
    with pytest.raises(SerializationError, match=r"(?s)parameter 'order' expects Order, .*greater than 0"):
        Signature.of(work).encode((ORDER.model_copy(update={"items": [broken]}),), {})


def test_a_model_whose_own_code_raises_is_refused():
    with pytest.raises(SerializationError, match="validators may raise anything"):
        Signature.of(work).decode(
            Raw(b"[" + ORDER.model_copy(update={"note": "crash"}).model_dump_json().encode() + b"]")
        )
    with pytest.raises(SerializationError, match="cannot write 5"):
        Signature.of(unwritable).encode((Unwritable(n=5),), {})
    with pytest.raises(SerializationError, match="cannot write 5"):
        Signature.of(unwritable).encode_result(Unwritable(n=5))


def test_naq_never_imports_pydantic():
    script = """
import sys
import naq.codec.signature as codec
class Thing: ...
def work(a: int, b: object = None) -> dict: ...
signature = codec.Signature.of(work)
signature.decode(*signature.encode((1,), {}))
try:
    signature.encode((1, Thing()), {})
except codec.SerializationError:
    pass
assert "pydantic" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
