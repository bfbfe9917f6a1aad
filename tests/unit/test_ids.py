"""Job ids: unique, sortable by time, and valid as tokens, from threads and across forks."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq import clock
from naq.job import new_id
from naq.names import is_token

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def milliseconds(job_id: str) -> int:
    value = 0
    for letter in job_id[:10]:
        value = value * 32 + ALPHABET.index(letter)
    return value


def test_an_id_is_a_ulid_and_a_token():
    job_id = new_id()
    assert len(job_id) == 26
    assert set(job_id) <= set(ALPHABET)
    assert is_token(job_id)


@given(st.floats(0, 2**47 / 1000))
def test_an_id_says_when_it_was_made(at: float):
    with clock.use(now=lambda: at):
        assert milliseconds(new_id()) == int(at * 1000)


def test_ids_of_one_moment_sort_in_the_order_they_were_made():
    with clock.use(now=lambda: 1_790_000_000.0):
        ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_ids_of_later_moments_sort_later():
    ids: list[str] = []
    for at in (1.0, 1.001, 2.0, 1_000_000.0, 4_000_000_000.0):
        with clock.use(now=lambda at=at: at):
            ids.append(new_id())
    assert all(before < after for before, after in pairwise(ids))


def test_ids_stay_unique_when_the_clock_steps_back():
    ids: list[str] = []
    for at in (10.0, 9.0, 10.0, 9.0):
        with clock.use(now=lambda at=at: at):
            ids += [new_id() for _ in range(100)]
    assert len(set(ids)) == len(ids)


def test_ids_from_many_threads_are_unique_and_rise_within_each():
    def make(_: int) -> list[str]:
        return [new_id() for _ in range(2000)]

    with ThreadPoolExecutor(8) as pool:
        batches = list(pool.map(make, range(8)))
    assert all(batch == sorted(batch) for batch in batches)
    assert len({job_id for batch in batches for job_id in batch}) == 16_000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_makes_ids_of_its_own():
    script = """
import os, sys
from naq import clock
from naq.job import new_id
with clock.use(now=lambda: 5.0):
    new_id()
    child = os.fork()
    ids = [new_id() for _ in range(100)]
    if child:
        os.waitpid(child, 0)  # so that the two do not write at once
    print(*ids, flush=True)
    os._exit(0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    ids = done.stdout.split()
    assert len(ids) == 200
    assert len(set(ids)) == 200
