"""What was enqueued: finding it, and messages that say what there is instead."""

from __future__ import annotations

import base64
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from market import Address, add, app, broken, double, send, shout

import naq
from naq import ConfigurationError, UnknownTask
from naq.testing import Enqueued, FakeClock, Sandbox, override

KEY = base64.b64encode(b"k" * 32).decode()
WHEN = datetime(2027, 1, 15, 9, tzinfo=UTC)


def has_two(job: Enqueued) -> bool:
    return len(job.arguments) == 2


def has_none(job: Enqueued) -> bool:
    return not job.arguments


FITTING: list[dict[str, Any]] = [
    {"args": {"to": "a@b"}},
    {"args": {"body": "hi", "to": ANY}},
    {"args": ("a@b",)},
    {"args": ["a@b", "hi"]},
    {"queue": "mail"},
    {"priority": "high"},
    {"tags": {"team": "post"}},
    {"tags": {"team": "post", "kind": "ad"}},
    {"delay": 3600},
    {"delay": timedelta(hours=1)},
    {"run_at": WHEN},
    {"run_at": WHEN.replace(tzinfo=None)},
    {"run_at": WHEN.timestamp()},
    {"job_id": "mail-1"},
    {"where": has_two},
    {"args": {"to": "a@b"}, "queue": "mail", "delay": 3600, "tags": {"kind": "ad"}},
]
DIFFERENT: list[tuple[dict[str, Any], str]] = [
    ({"args": {"to": "x"}}, r"to is 'a@b', not 'x'"),
    ({"args": {"when": WHEN}}, r"when is not given"),
    ({"args": ("a@b", "ho")}, r"body is 'hi', not 'ho'"),
    ({"queue": "post"}, r"queue is 'mail', not 'post'"),
    ({"priority": "low"}, r"priority is 'normal', not 'low'"),
    ({"tags": {"team": "sales"}}, r"tag team is 'post', not 'sales'"),
    ({"tags": {"kind": "ad"}}, r"tag kind is not given"),
    ({"delay": 60}, r"delay is 3600 s, not 60 s"),
    ({"delay": 0}, r"delay is 3600 s, not 0 s"),
    ({"run_at": datetime(2027, 1, 15, 10, tzinfo=UTC)}, r"it runs at 2027-01-15 09:00:00\+00:00, not at 2027"),
    ({"job_id": "mail-2"}, r"its id is '[^']+', not 'mail-2'"),
    ({"where": has_none}, r"where=has_none.*where\(job\) is false"),
]


@pytest.fixture
def jobs() -> Generator[Sandbox]:
    with FakeClock(datetime(2027, 1, 15, 8, tzinfo=UTC)), override(app) as sandbox:
        yield sandbox


def test_arguments_are_those_that_a_worker_would_get(jobs: Sandbox) -> None:
    send.enqueue_sync("a@b", when=WHEN)
    broken.enqueue_sync(Address("Elm", 3))
    found = jobs.assert_enqueued(send)
    assert (found.args, found.kwargs, found.arguments) == (("a@b",), {"when": WHEN}, {"to": "a@b", "when": WHEN})
    assert jobs.assert_enqueued(broken).args == (Address("Elm", 3),)


@pytest.mark.parametrize("asked", FITTING, ids=[f"{number}-{'-'.join(each)}" for number, each in enumerate(FITTING)])
def test_a_job_is_found_by_what_it_is(jobs: Sandbox, asked: Any) -> None:
    options = send.options(delay=3600, priority="high", tags={"kind": "ad"}, job_id="mail-1")
    options.enqueue_sync("a@b", body="hi")
    add.enqueue_sync(1, 2)
    assert jobs.assert_enqueued(send, count=1, **asked).id == "mail-1"
    assert [job.task for job in jobs.enqueued(send, **asked)] == ["market.send"]
    with pytest.raises(AssertionError, match=r"(?s)expected none of .*market\.send\('a@b', body='hi'\)"):
        jobs.assert_not_enqueued(send, **asked)


@pytest.mark.parametrize(
    ("asked", "why"), DIFFERENT, ids=[f"{number}-{next(iter(each))}" for number, (each, _) in enumerate(DIFFERENT)]
)
def test_a_job_that_differs_is_listed_with_how(jobs: Sandbox, asked: Any, why: str) -> None:
    send.options(delay=3600).enqueue_sync("a@b", body="hi")
    add.enqueue_sync(1, 2)
    assert jobs.enqueued(send, **asked) == []
    jobs.assert_not_enqueued(send, **asked)
    with pytest.raises(AssertionError, match=f"(?s){why}") as caught:
        jobs.assert_enqueued(send, **asked)
    first, second = str(caught.value).splitlines()[1:]
    assert "market.send('a@b', body='hi')  queue=mail delay=3600 s" in first  # what is nearest comes first
    assert second.strip() == "market.add(1, 2)  queue=default  <- task is market.add"


def test_the_message_says_how_many_there_are(jobs: Sandbox) -> None:
    with pytest.raises(AssertionError, match=r"expected at least one of market\.send\(\), and none was.*nothing was"):
        jobs.assert_enqueued(send)
    for number in range(30):
        add.enqueue_sync(number, number)
    jobs.assert_enqueued(add, count=30)
    with pytest.raises(AssertionError, match=r"(?s)expected 2 of market\.add\(\), and 30 was.*and 10 more"):
        jobs.assert_enqueued(add, count=2)
    with pytest.raises(AssertionError, match=r"expected none of any job; 30 enqueued"):
        jobs.assert_not_enqueued()


def test_a_duplicate_is_no_job_but_is_shown(jobs: Sandbox) -> None:
    send.options(job_id="one").enqueue_sync("a@b")
    send.options(job_id="one").enqueue_sync("c@d")
    jobs.assert_enqueued(send, count=1)
    with pytest.raises(AssertionError, match="a duplicate: not added"):
        jobs.assert_enqueued(send, args={"to": "c@d"})


def test_what_has_run_was_enqueued_all_the_same_until_it_is_cleared(jobs: Sandbox) -> None:
    send.enqueue_sync("a@b")
    jobs.drain_sync()
    jobs.assert_enqueued(send)
    jobs.clear()
    jobs.assert_not_enqueued()


def test_a_question_with_a_slip_in_it_is_no_answer(jobs: Sandbox) -> None:
    with pytest.raises(UnknownTask, match=r"market\.sedn.*did you mean 'market\.send'"):
        jobs.assert_not_enqueued("market.sedn")
    with pytest.raises(ConfigurationError, match=r"no parameter 'too'; did you mean 'to'"):
        jobs.assert_not_enqueued(send, args={"too": "a@b"})
    with pytest.raises(ConfigurationError, match="too many positional"):
        jobs.assert_not_enqueued(send, args=(1, 2, 3, 4))
    with pytest.raises(ConfigurationError, match="for none, assert_not_enqueued"):
        jobs.assert_enqueued(send, count=0)
    with pytest.raises(ConfigurationError, match="give a dict"):
        jobs.assert_not_enqueued(send, args="a@b")
    slip: Any = {"que": "mail"}
    with pytest.raises(ConfigurationError, match=r"by 'que'; did you mean 'queue'"):
        jobs.assert_not_enqueued(send, **slip)


def test_parameters_that_take_many(jobs: Sandbox) -> None:
    shout.enqueue_sync("a", "b", "c", loud="d")
    found = jobs.assert_enqueued(shout, args={"text": "a", "loud": "d"})
    assert found.arguments == {"text": "a", "more": ("b", "c"), "loud": "d"}
    jobs.assert_enqueued(shout, args=("a", "b", "c"))


def test_sealed_jobs_are_read_with_the_apps_keys() -> None:
    keys: Any = {"signing_keys": [f"s1:{KEY}"], "encryption_keys": [f"e1:{KEY}"]}
    own = naq.Naq("sealed", **keys)

    @own.task(name="secret")
    async def secret(text: str) -> str:
        return text

    with override(own) as jobs:
        job = secret.enqueue_sync("hush")
        jobs.assert_enqueued("secret", args={"text": "hush"})
        assert jobs.drain_sync(check=True).records[0].id == job.id
        assert job.result_sync(0) == "hush"


def test_functions_by_themselves_and_by_name() -> None:
    with override() as jobs:
        naq.enqueue_sync(double, 3)
        jobs.assert_enqueued(double)
        jobs.assert_enqueued("market.double", args={"number": 3})


def test_by_the_unique_key(jobs: Sandbox) -> None:
    send.options(unique="ad").enqueue_sync("a@b")
    send.options(unique="ad").enqueue_sync("c@d")
    send.options(unique="other").enqueue_sync("e@f")
    first, second = jobs.enqueued(send)
    assert (first.args, second.args) == (("a@b",), ("e@f",))
    assert first.key != second.key
