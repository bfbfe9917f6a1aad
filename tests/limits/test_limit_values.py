"""Buckets and groups as values: what they promise, whatever is asked of them and when."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from naq.exceptions import ConfigurationError
from naq.limits import bucket, permits
from naq.limits.admission import ask_rate
from naq.limits.bucket import Bucket
from naq.limits.permits import Group
from naq.limits.rates import Rate, read_rate

steps = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 9), st.booleans()), min_size=1, max_size=60)
rates = st.builds(Rate, st.integers(1, 80), st.sampled_from([0.5, 1.0, 10.0, 60.0]))


def most_in_a_window(times: list[float], seconds: float) -> int:
    """The largest number of `times` in any window of `seconds`."""
    times = sorted(times)
    return max((sum(at <= each < at + seconds for each in times) for at in times), default=0)


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("10/s", Rate(10, 1)),
        ("100/m", Rate(100, 60)),
        ("1000/h", Rate(1000, 3600)),
        ("5/d", Rate(5, 86400)),
        ("5/10s", Rate(5, 10)),
        (" 3 / 2m ", Rate(3, 120)),
        (Rate(2, 0.5), Rate(2, 0.5)),
    ],
)
def test_a_rate_is_read(text: Any, rate: Rate) -> None:
    assert read_rate("t", text) == rate


@pytest.mark.parametrize(
    "text", ["", "10", "10/x", "-1/s", "0/s", "1.5/s", "10/0s", "2000000/s", "1/31d", 10, None, "٣/s"]
)
def test_no_rate(text: Any) -> None:
    with pytest.raises(ConfigurationError, match="t is"):
        read_rate("t", text)


def test_a_rate_is_shown_as_it_is_written() -> None:
    assert [str(Rate(10, 1)), str(Rate(5, 10)), str(Rate(7, 3600))] == ["10/s", "5/10s", "7/h"]


@given(rates, steps)
def test_no_window_has_more_than_the_rate(rate: Rate, moves: list[tuple[float, int, bool]]) -> None:
    """Tokens may be used up to the end of their lease, at the worst possible moment; still there are never more."""
    for early in (True, False):
        there, now, used = bucket.new("t", rate), 1_000_000.0, list[float]()
        for pause, want, waited in moves:
            now += pause * rate.seconds / 4
            there, got, until = bucket.take(bucket.read(bucket.write(there), "t", rate), now, want, waited=waited)
            used += [now if early else until] * got
        assert most_in_a_window(used, rate.seconds * 0.999999) <= rate.count


@given(rates, steps)
def test_reserved_times_keep_the_rate(rate: Rate, moves: list[tuple[float, int, bool]]) -> None:
    """Also where all are taken in, and some of them for later."""
    there, now, times = bucket.new("t", rate), 1_000_000.0, list[float]()
    for pause, count, _ in moves:
        now += pause * rate.seconds / 4
        there, given_out = bucket.reserve(there, now, count)
        assert len(given_out) == count
        assert min(given_out) >= now
        times += given_out
    assert most_in_a_window(times, rate.seconds * 0.999) <= rate.count


@given(rates, st.floats(0.5, 1))
def test_what_was_used_comes_free(rate: Rate, part: float) -> None:
    """After the time that it says, and not before."""
    now = 1_000_000.0
    there, got, _ = bucket.take(bucket.new("t", rate), now, rate.count, waited=True, leased=False)
    assert got == rate.count
    free = bucket.available_at(there, now)
    assert now + rate.seconds <= free <= now + rate.seconds * 1.03
    assert bucket.take(there, now + rate.seconds * part * 0.99, 1, waited=True)[1] == 0
    assert bucket.take(there, free, 1, waited=True)[1] == 1


def test_the_rate_is_reached() -> None:
    """Asked for one by one all the time, at least 95 in a hundred are handed out."""
    rate = Rate(200, 10.0)
    there, now, got = bucket.new("t", rate), 1_000_000.0, 0
    for _ in range(100_00):
        now += 0.01
        there, more, _ = bucket.take(there, now, 4, waited=True)
        got += more
    assert got >= 0.95 * 200 * 10
    assert len(bucket.write(there)) < 2000


def test_whoever_waited_goes_first() -> None:
    """While there is a line, the last tokens are for those who come back."""
    rate, now = Rate(10, 10.0), 1_000_000.0
    there, _, _ = bucket.take(bucket.new("t", rate), now, 9, waited=True, leased=False)
    there, times = bucket.put_off(there, now, 3)
    assert times == sorted(set(times))
    assert bucket.take(there, now, 1, waited=False)[1] == 0
    assert bucket.take(there, now, 1, waited=True)[1] == 1
    asked = ask_rate(there, now, want=1, waited=False)
    assert (asked.got, asked.closed) == (0, now)
    assert asked.back[0] > times[-1]


def test_a_long_line_has_an_end() -> None:
    """Nobody is sent away for days: limits are changed, and jobs that wait are cancelled."""
    there, now = bucket.new("t", Rate(1, 60.0)), 1_000_000.0
    there, times = bucket.put_off(there, now, 1000)
    assert times[-1] <= now + 3600
    assert bucket.put_off(bucket.new("t", Rate(1, 86400.0)), now, 2)[1][1] <= now + 2 * 86400


def test_what_is_there_may_be_anything() -> None:
    """A value that is none of ours counts as none; today's rate holds for what an older one left."""
    rate = Rate(3, 1.0)
    assert bucket.read(b"\xff", "t", rate) == bucket.new("t", rate)
    assert bucket.peek(b"{}") is None
    assert permits.read(b"[]", "g", 2) == Group("g", 2)
    old = bucket.write(Bucket("t", 100, 60.0, ((5.0, 7),)))
    assert bucket.read(old, "t", rate) == Bucket("t", 3, 1.0, ((5.0, 7),))


@given(
    st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 6), st.floats(0, 20)), max_size=50), st.integers(1, 5)
)
def test_a_group_never_has_more(moves: list[tuple[str, int, float]], most: int) -> None:
    """Whoever asks for whatever, and however many let their permits run out."""
    group, now = Group("g", most), 1_000_000.0
    for worker, want, pause in moves:
        now += pause
        group, held = permits.hold(permits.read(permits.write(group), "g", most), worker, want, now, now + 30)
        assert held <= want
        assert permits.held(group, now) <= most


def test_permits_run_out() -> None:
    group, got = permits.hold(Group("g", 1), "a", 1, 100.0, 130.0)
    assert got == 1
    assert permits.hold(group, "b", 1, 130.0, 160.0)[1] == 0
    assert permits.hold(group, "b", 1, 130.0 + permits.SKEW, 160.0)[1] == 1


def test_a_lower_limit_lets_what_runs_end() -> None:
    group, _ = permits.hold(Group("g", 4), "a", 4, 100.0, 130.0)
    lower = replace(group, most=2)
    lower, held = permits.hold(lower, "a", 5, 101.0, 131.0)
    assert held == 4
    lower, held = permits.hold(lower, "a", 3, 102.0, 132.0)
    assert held == 3
    assert permits.hold(lower, "b", 1, 103.0, 133.0)[1] == 0


def test_how_long_jobs_take_spaces_the_line() -> None:
    """So that about as many come back as can be let in."""
    group = Group("g", 2)
    for _ in range(50):
        group = permits.learn(group, 4.0)
    _, times = permits.put_off(group, 100.0, 4)
    assert [round(b - a, 1) for a, b in pairwise(times)] == [2.0, 2.0, 2.0]
    assert max(permits.put_off(group, 100.0, 500)[1]) <= 100.0 + permits.LOOK_MOST
