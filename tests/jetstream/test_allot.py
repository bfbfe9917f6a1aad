"""How free slots are shared out to lanes: properties over any course of events."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from naq.backends.nats.client.lane import WEIGHT, Lane
from naq.backends.nats.client.puller import allot
from naq.job import PRIORITIES, Priority


class Stand:
    """What `allot` sees of a lane."""

    def __init__(self, priority: Priority, backlog: int, outstanding: int, credit: float = 0.0) -> None:
        self.weight = WEIGHT[priority]
        self.backlog = backlog
        self.outstanding = outstanding
        self.credit = credit


stands = st.lists(
    st.builds(Stand, st.sampled_from(PRIORITIES), st.integers(0, 10_000), st.integers(0, 1100), st.floats(-1000, 1000)),
    min_size=1,
    max_size=9,
)
wants = st.integers(0, 1000)


def share(want: int, lanes: list[Stand]) -> list[int]:
    return allot(want, cast("list[Lane]", lanes))


@given(wants, stands)
def test_never_more_than_the_free_slots_and_one_for_each_lane_that_seems_empty(want: int, lanes: list[Stand]) -> None:
    batches = share(want, lanes)
    empty = [batch for lane, batch in zip(lanes, batches, strict=True) if lane.backlog <= 0]
    busy = [batch for lane, batch in zip(lanes, batches, strict=True) if lane.backlog > 0]
    standing = sum(lane.outstanding for lane in lanes if lane.backlog > 0)
    assert all(batch >= 0 for batch in batches)
    assert set(empty) <= {0, 1}
    assert sum(busy) + standing <= max(want, standing)


@given(wants, stands)
def test_an_empty_lane_has_one_standing_pull(want: int, lanes: list[Stand]) -> None:
    for lane, batch in zip(lanes, share(want, lanes), strict=True):
        if want and lane.backlog <= 0:
            assert batch == (lane.outstanding == 0)


@given(st.integers(1, 1000), stands)
def test_it_never_stalls(want: int, lanes: list[Stand]) -> None:
    """Where there is a backlog and nothing asked for, every slot is asked for."""
    for lane in lanes:
        lane.outstanding = 0
    batches = share(want, lanes)
    busy = [batch for lane, batch in zip(lanes, batches, strict=True) if lane.backlog > 0]
    if busy:
        assert sum(busy) == want
    assert sum(batches) > 0


@given(stands)
def test_nothing_is_asked_for_without_a_free_slot(lanes: list[Stand]) -> None:
    assert share(0, lanes) == [0] * len(lanes)


@given(st.integers(1, 50), st.permutations(PRIORITIES))
def test_slots_go_by_weight_however_few_come_free(want: int, priorities: list[Priority]) -> None:
    """Also one at a time: over many rounds each lane has its share to within a round."""
    lanes = [Stand(priority, 1_000_000, 0) for priority in priorities]
    given_out = [0] * len(lanes)
    rounds = 200
    for _ in range(rounds):
        for index, batch in enumerate(share(want, lanes)):
            given_out[index] += batch
    total = sum(WEIGHT.values())
    for lane, got in zip(lanes, given_out, strict=True):
        assert abs(got - rounds * want * lane.weight / total) <= want + 1


@given(st.integers(1, 50), st.integers(0, 5000), st.lists(st.integers(0, 3), min_size=1, max_size=50))
def test_low_never_starves(want: int, quiet: int, trickle: list[int]) -> None:
    """Whatever went before, a low lane with a backlog has a slot within a bounded time, and its share from then on."""
    high, normal, low = (Stand(priority, 0, 0) for priority in PRIORITIES)
    low.backlog = 1_000_000
    for index in range(quiet // 10):  # the others trickle, so that they never use all that they are due
        high.backlog = trickle[index % len(trickle)]
        normal.backlog = trickle[(index + 1) % len(trickle)]
        share(want, [high, normal, low])
    high.backlog = normal.backlog = 1_000_000
    got = [share(want, [high, normal, low])[2] for _ in range(200)]
    waited = max((len(run) for run in "".join("x" if batch else "." for batch in got).split("x")), default=0)
    assert waited <= 40, "rounds without a slot for low"
    assert sum(got) >= 200 * want / 10 - 4 * want - 4


@given(st.integers(1, 1000), stands)
def test_strictly_the_highest_first(want: int, lanes: list[Stand]) -> None:
    """A lane gets something only if all that those above it have is asked for; still nothing stalls."""
    for lane in lanes:
        lane.outstanding = 0
    batches = allot(want, cast("list[Lane]", lanes), strict=True)
    busy = [(lane, batch) for lane, batch in zip(lanes, batches, strict=True) if lane.backlog > 0]
    assert sum(batch for _, batch in busy) <= want
    for lane, batch in busy:
        above = [(other, given) for other, given in busy if other.weight > lane.weight]
        if batch:
            assert sum(given for _, given in above) >= sum(other.backlog for other, _ in above)
    if busy:
        assert sum(batch for _, batch in busy) >= min(want, sum(lane.backlog for lane, _ in busy))
