"""What workers say of their tasks: a schema that stands by itself, whatever its parameters are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jsonschema_rs import Draft202012Validator

from naq import Naq
from naq.task.describe import describe


@dataclass
class Place:
    city: str


@dataclass
class Trip:
    stops: list[Place]


class Abroad:
    @dataclass
    class Place:
        zip: int


def test_definitions_of_all_parameters_are_found_from_the_root() -> None:
    async def go(trip: Trip, home: Place, other: Abroad.Place, *more: Place) -> None: ...

    app = Naq("described", broker_url="memory:")
    schema = describe(app.task(name="go")(go), app="described", at=0.0).arguments
    check = Draft202012Validator(schema)
    fits: dict[str, Any] = {"trip": {"stops": [{"city": "Bern"}]}, "home": {"city": "Bern"}, "other": {"zip": 1}}
    assert check.is_valid(fits)
    assert not check.is_valid({**fits, "trip": {"stops": [{"city": 1}]}})
    assert not check.is_valid({**fits, "other": {"zip": "x"}})  # two definitions of one name are told apart
    assert not check.is_valid({**fits, "home": {"zip": 1}})
    assert Draft202012Validator(schema["x-rest"]).is_valid({"city": "Bern"})
