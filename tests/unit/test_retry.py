"""A retry policy: what each field does to the delays, and what is refused when one is made."""

import math
import random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.exceptions import ConfigurationError
from naq.retry import MAX_ATTEMPTS, MAX_DELAY, NO_RETRY, Backoff, Retry, RetryWire

SECONDS = st.floats(0, MAX_DELAY)
PLAIN = st.builds(
    Retry,
    max_attempts=st.integers(1, MAX_ATTEMPTS),
    backoff=st.sampled_from(get_args(Backoff)),
    base=SECONDS,
    cap=SECONDS,
    jitter=st.booleans(),
    delays=st.lists(SECONDS, max_size=5).map(tuple),
)
ATTEMPTS = st.integers(1, MAX_ATTEMPTS + 5)


class Least:
    """A generator of random numbers that always draws the lowest."""

    def random(self) -> float:
        return 0.0


class Most:
    """A generator of random numbers that always draws (nearly) the highest."""

    def random(self) -> float:
        return math.nextafter(1.0, 0.0)


def delays(policy: Retry, count: int) -> list[float | None]:
    return [policy.delay(attempt) for attempt in range(1, count + 1)]


def test_a_task_that_says_nothing_is_not_retried():
    assert NO_RETRY.delay(1, ValueError()) is None
    assert Retry.of(None) is NO_RETRY


def test_the_backoffs_grow_as_they_say_and_stop_at_the_cap():
    def policy(backoff: Backoff) -> Retry:
        return Retry(max_attempts=6, backoff=backoff, base=2, cap=9, jitter=False)

    assert delays(policy("fixed"), 6) == [2, 2, 2, 2, 2, None]
    assert delays(policy("linear"), 6) == [2, 4, 6, 8, 9, None]
    assert delays(policy("exponential"), 6) == [2, 4, 8, 9, 9, None]


def test_listed_delays_are_taken_as_written_and_the_last_repeats():
    policy = Retry(max_attempts=5, delays=(1, 600, 7), cap=5, jitter=True)
    assert delays(policy, 5) == [1, 600, 7, 7, None]


def test_jitter_draws_from_the_upper_half():
    policy = Retry(max_attempts=3, base=10)
    assert policy.delay(1, rng=Least()) == 5
    assert policy.delay(2, rng=Least()) == 10
    assert policy.delay(1, rng=Most()) == pytest.approx(10)
    drawn = {policy.delay(1, rng=random.Random(seed)) for seed in range(20)}
    assert len(drawn) > 15


@given(PLAIN, ATTEMPTS, st.randoms())
def test_a_delay_is_within_bounds_or_there_is_none(policy: Retry, attempt: int, rng: random.Random):
    delay = policy.delay(attempt, rng=rng)
    if attempt >= policy.max_attempts:
        assert delay is None
        return
    assert delay is not None
    assert math.isfinite(delay)
    if policy.delays:
        assert delay == policy.delays[min(attempt, len(policy.delays)) - 1]
    else:
        full = policy.delay(attempt, rng=Most())
        assert full is not None
        assert full / 2 * (1 - 1e-9) <= delay <= policy.cap


@given(PLAIN.filter(lambda policy: not policy.delays), st.integers(1, 2000))
def test_a_computed_delay_never_shrinks_from_one_attempt_to_the_next(policy: Retry, attempt: int):
    before, after = policy.delay(attempt, rng=Least()), policy.delay(attempt + 1, rng=Least())
    assert after is None or (before is not None and before <= after)


def test_only_the_named_errors_are_retried_and_give_up_wins():
    policy = Retry(retry_on=(OSError,), give_up_on=(ConnectionError,))
    assert policy.delay(1, FileNotFoundError()) is not None
    assert policy.delay(1, ValueError()) is None
    assert policy.delay(1, ConnectionResetError()) is None
    assert Retry().delay(1, KeyboardInterrupt()) is None, "only exceptions of programs are retried by default"
    assert Retry(retry_on=OSError).covers(OSError()), "one type alone is taken as well"  # pyright: ignore[reportArgumentType]


def test_a_function_decides_from_the_attempt_and_its_error():
    asked: list[tuple[int, str]] = []

    def decide(attempt: int, error: BaseException) -> float | None:
        asked.append((attempt, str(error)))
        return None if attempt == 3 else attempt * 10

    policy = Retry.of(decide)
    assert [policy.delay(n, ValueError(f"e{n}")) for n in (1, 2, 3)] == [10, 20, None]
    assert asked == [(1, "e1"), (2, "e2"), (3, "e3")]
    assert Retry(max_attempts=2, decide=decide).delay(2, ValueError()) is None, "max_attempts stays the ceiling"
    assert len(asked) == 3


@pytest.mark.parametrize("answer", ["5", -1, math.nan, math.inf, True, MAX_DELAY * 2])
def test_an_answer_that_is_no_delay_is_refused(answer: Any):
    with pytest.raises(ConfigurationError, match="decide's answer"):
        Retry(decide=lambda _attempt, _error: answer).delay(1, ValueError())


@pytest.mark.parametrize(
    ("short", "attempts", "first"),
    [(0, 1, None), (2, 3, 1.0), ([5, 10], 3, 5.0), ((), 1, None), (Retry(max_attempts=7, base=3), 7, 3.0)],
)
def test_short_forms(short: Any, attempts: int, first: float | None):
    policy = Retry.of(short)
    assert policy.max_attempts == attempts
    assert policy.delay(1, rng=Most()) == (None if first is None else pytest.approx(first))


@pytest.mark.parametrize("short", [True, -1, MAX_ATTEMPTS, 1.5, "3", b"12", {}, {1, 2}, ValueError, [1, "2"], [-1]])
def test_what_is_no_policy_is_refused(short: Any):
    with pytest.raises(ConfigurationError, match=r"^retry: .*: use "):
        Retry.of(short)


WRONG: dict[str, list[Any]] = {
    "max_attempts": [0, -1, True, 1.0, "3", None, MAX_ATTEMPTS + 1],
    "backoff": ["fibonacci", None, 1, []],
    "base": [-1, math.nan, math.inf, "1", None, True, 1e300],
    "cap": [-1, math.nan, math.inf, "1", None, True, 1e300],
    "jitter": ["yes", None, 1, []],
    "delays": [5, "12", [math.nan], [-1], [True], {1}, None],
    "retry_on": [int, "OSError", [OSError, 1], OSError()],
    "give_up_on": [int, "OSError", [OSError, 1], OSError()],
    "decide": [5, "f"],
}


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in WRONG.items() for value in values])
def test_a_value_that_makes_no_sense_is_refused_by_name(field: str, value: Any):
    with pytest.raises(ConfigurationError, match=rf"^retry: {field} is .*: use "):
        Retry(**{field: value})


@given(PLAIN)
def test_the_plain_part_survives_the_wire(policy: Retry):
    data = msgspec.json.encode(policy.wire())
    assert Retry.from_wire(msgspec.json.decode(data, type=RetryWire)) == policy


def test_defaults_are_the_same_on_the_wire():
    assert Retry.from_wire(msgspec.json.decode(b"{}", type=RetryWire)) == Retry()
    assert msgspec.json.encode(Retry().wire()) == b"{}"


def test_what_is_not_data_does_not_travel():
    declared = Retry(retry_on=(OSError,), decide=lambda _attempt, _error: 1)
    override = msgspec.structs.replace(declared, max_attempts=9)
    back = Retry.from_wire(override.wire(declared), declared)
    assert (back.max_attempts, back.retry_on, back.decide) == (9, (OSError,), None)
    for policy in (
        Retry(retry_on=(ValueError,)),
        Retry(give_up_on=(OSError,)),
        Retry(decide=lambda _attempt, _error: None),
    ):
        with pytest.raises(ConfigurationError, match="declare it on the task"):
            policy.wire(declared)


@pytest.mark.parametrize("attempt", [-5, 0])
def test_attempts_before_the_first_count_as_the_first(attempt: int):
    assert Retry(jitter=False).delay(attempt) == 1
    assert Retry(delays=(4, 5)).delay(attempt) == 4
