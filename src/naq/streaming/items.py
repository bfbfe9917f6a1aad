"""What the log says of a stream: the items of an attempt, in parts, each with the number of its first item."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from msgspec import Raw, Struct, field

from naq.inside.notes import Note

T = TypeVar("T")
ITEM: Final = "item"


class Part(Note, frozen=True, kw_only=True, omit_defaults=True):
    """Some items of a stream.

    Attributes:
        task: the task's name.
        claims: how often the attempt had been handed out when this was written (`Context.claims`).
        first: the number of the first of them, from 0. A part that begins at 0 begins the stream of its attempt.
        items: each as JSON.
        end: whether the generator has ended well behind them.
    """

    task: str = ""
    claims: int = 1
    first: int = 0
    items: list[Raw] = field(default_factory=list[Raw])
    end: bool = False


class Item(Struct, Generic[T], frozen=True, kw_only=True):
    """An item of a stream, and where it stands.

    Attributes:
        value: what the task gave.
        number: from 0, in its attempt.
        run, attempt, claims: of the job (as in its context). When one of them grows, the stream has begun anew.
    """

    value: T
    number: int
    run: int
    attempt: int
    claims: int
