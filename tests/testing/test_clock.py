"""The clock of a test: standing still or ticking, and told to go on."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from market import app, send

from naq import ConfigurationError, ResultTimeout, clock
from naq.testing import FakeClock, override

MORNING = datetime(2026, 3, 1, 8, tzinfo=UTC)


def test_it_stands_still_until_it_is_told() -> None:
    with FakeClock(MORNING) as fake:
        assert clock.as_datetime(clock.now()) == fake.now == MORNING
        before = clock.monotonic()
        fake.advance(timedelta(minutes=1))
        fake.advance(30)
        assert fake.now == MORNING + timedelta(seconds=90)
        assert clock.monotonic() - before == 90
        fake.travel(MORNING + timedelta(hours=1))
        assert clock.now() == (MORNING + timedelta(hours=1)).timestamp()
        fake.travel(datetime(2026, 3, 2))  # noqa: DTZ001  a naive one is UTC
        assert fake.now == datetime(2026, 3, 2, tzinfo=UTC)
    assert abs(clock.now() - time.time()) < 60


def test_it_ticks_from_real_time_on_until_it_is_frozen() -> None:
    with FakeClock(None, ticking=True) as fake:
        assert abs(clock.now() - time.time()) < 60
        assert abs(clock.monotonic() - time.monotonic()) < 60
        first = clock.monotonic()
        while clock.monotonic() == first:
            pass
        fake.advance(3600)
        assert clock.now() - time.time() > 3500
        fake.freeze()
        frozen = clock.now(), clock.monotonic()
        end = time.monotonic() + 0.01
        while time.monotonic() < end:
            assert (clock.now(), clock.monotonic()) == frozen
        fake.tick()
        while (clock.now(), clock.monotonic()) == frozen:
            pass


def test_time_does_not_pass_backwards_but_a_clock_may_be_set_back() -> None:
    with FakeClock(MORNING) as fake:
        for wrong in (lambda: fake.advance(-1), lambda: fake.travel(MORNING - timedelta(days=1))):
            with pytest.raises(ConfigurationError, match=r"clock\.jump"):
                wrong()
        before = clock.monotonic()
        fake.jump(-3600)
        assert fake.now == MORNING - timedelta(hours=1)
        assert clock.monotonic() == before


def test_the_innermost_is_the_one_in_force() -> None:
    assert FakeClock.installed() is None
    with FakeClock() as outer:
        assert FakeClock.installed() is outer
        with FakeClock(MORNING) as inner:
            assert FakeClock.installed() is inner
            assert clock.now() == MORNING.timestamp()
        assert FakeClock.installed() is outer
    assert FakeClock.installed() is None
    assert not outer.is_installed


def test_a_wait_with_an_end_has_one_though_the_clock_stands_still() -> None:
    with FakeClock(), override(app):
        job = send.enqueue_sync("a@b")
        with pytest.raises(ResultTimeout):
            job.result_sync(timeout=0.05)  # nobody has drained
