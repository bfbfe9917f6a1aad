"""Limits of scheduled tasks: those asked at run time hold; those asked when a job is enqueued are refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from naq import ConfigurationError
from naq.codec.envelope import decode_envelope
from naq.schedules.kept import Kept
from tests.tools import make_app


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        ({"rate": "1/m", "rate_mode": "reject"}, "rate_mode='reject'.*Use rate_mode=\"wait\""),
        ({"rate": "1/m", "rate_mode": "delay"}, "rate_mode='delay'"),
        ({"rate": "1/m", "rate_mode": "drop"}, "rate_mode='drop'"),
        ({"unique_for": 60}, "unique_for .or throttle.*The schedule itself says how often"),
        ({"throttle": 60}, "unique_for .or throttle"),
        ({"debounce": 60}, "debounce.*The schedule itself says when"),
        ({"unique_by": "n"}, 'unique.*overlap="skip"'),
    ],
)
def test_what_is_asked_when_a_job_is_enqueued_is_refused_where_it_stands(limits: dict[str, Any], says: str) -> None:
    async def story() -> None:
        app = make_app()

        @app.task(name="add", **limits)
        async def add(n: int = 0) -> None: ...

        with pytest.raises(ConfigurationError, match=f"task add cannot be scheduled with {says}"):
            app.every(60)(add)
        assert not app.declares
        async with app:
            with pytest.raises(ConfigurationError, match=says):
                await app.schedules.create("s", add.call(1), interval=60)
            assert await app.schedules.list() == []

    asyncio.run(story())


def test_options_of_the_call_are_refused_as_well() -> None:
    async def story() -> None:
        app = make_app()

        @app.task(name="add")
        async def add(n: int = 0) -> None: ...

        async with app:
            schedule = await app.schedules.create("s", add.call(1), interval=60)
            for settings in ({"debounce": 5}, {"throttle": 5}, {"unique": "x"}, {"expires_at": 4e9}):
                with pytest.raises(ConfigurationError, match="cannot be"):
                    await schedule.edit(add.options(**settings).call(1))  # pyright: ignore[reportArgumentType]

    asyncio.run(story())


def test_what_is_asked_when_it_is_to_run_travels_with_every_run() -> None:
    async def story() -> Kept:
        app = make_app()

        @app.task(name="add", rate="5/m", group="api", group_max_concurrency=2)
        async def add(n: int = 0) -> None: ...

        async with app:
            kept = await (await app.schedules.create("s", add.call(1), interval=60)).info()
            backend = await app.connect()
            for _, spec in await backend.unfinished():
                limits = decode_envelope(spec.payload).limits
                assert [each.partition(".")[0] for each in limits] == ["rate", "group"]
            return kept

    assert asyncio.run(story()).ahead
