"""`naq enqueue`, against a real server and a real worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.cli_tools import Naqs


def test_wait_prints_the_result_and_nothing_else(worker: Naqs) -> None:
    said = worker("enqueue", "hello", "name=ada", "n=3", "--queue", "mail", "--wait")
    assert said.json == "hello ada 3"
    assert "queued on mail" in said.err


@pytest.mark.parametrize(
    ("words", "result"),
    [
        (["ada"], "hello ada 1"),
        (["ada", "5"], "hello ada 5"),
        (['["ada", 2]'], "hello ada 2"),
        (['{"name": "ada"}', "n=4"], "hello ada 4"),
        (['name="7"'], "hello 7 1"),
        ([], "hello you 1"),
    ],
)
def test_the_ways_to_write_arguments(worker: Naqs, words: list[str], result: str) -> None:
    assert worker("enqueue", "hello", *words, "-A", "tasks:app", "--wait", "--timeout", "20s").json == result


def test_typed_by_the_app(worker: Naqs) -> None:
    assert worker("enqueue", "day", "when=2026-02-01", "-A", "tasks:app", "--wait").json == "032"


def test_a_failure_is_exit_code_1_and_says_why(worker: Naqs) -> None:
    said = worker("enqueue", "bad", "--wait", code=1)
    assert said.out == ""
    assert "ValueError: no" in said.err


def test_waiting_too_long_is_exit_code_7(worker: Naqs) -> None:
    assert "ask again" in worker("enqueue", "slow", "--wait", "--timeout", "300ms", code=7).err


def test_the_id_is_all_that_is_on_stdout(naq: Naqs) -> None:
    said = naq("enqueue", "hello")
    [job_id] = said.lines
    assert naq("jobs", "show", job_id, "-q").lines == [job_id]
    assert "no worker runs" in said.err
    assert naq("enqueue", "hello", "-q").err == ""


def test_options_travel_with_the_job(naq: Naqs) -> None:
    job = naq("enqueue", "t", "--queue", "q1", "--priority", "high", "--tag", "a=1", "--tag", "b=x y", "--id", "me")
    assert job.lines == ["me"]
    shown = naq("jobs", "show", "me", "--json").json
    assert (shown["queue"], shown["priority"], shown["tags"]) == ("q1", "high", {"a": "1", "b": "x y"})
    again = naq("enqueue", "t", "--queue", "q1", "--id", "me", "--json").json
    assert again == {"id": "me", "task": "t", "duplicate": True}


def test_later(naq: Naqs) -> None:
    naq("enqueue", "t", "--id", "in", "--in", "2h")
    naq("enqueue", "t", "--id", "at", "--at", "2037-01-02T03:04:05Z")
    shown = {job["id"]: job for job in naq("jobs", "list", "--json", "--state", "scheduled").json}
    assert datetime.fromisoformat(shown["at"]["run_at"]) == datetime(2037, 1, 2, 3, 4, 5, tzinfo=UTC)
    off = datetime.fromisoformat(shown["in"]["run_at"]) - datetime.now(UTC)
    assert timedelta(hours=1, minutes=58) < off < timedelta(hours=2)


def test_many_from_a_file(naq: Naqs) -> None:
    lines = '["a"]\n\n{"n": 2}\n[]\n'
    assert len(naq("enqueue", "hello", "-A", "tasks:app", "--from-file", "-", stdin=lines).lines) == 3
    (naq.folder / "jobs.jsonl").write_text(lines)
    assert len(naq("enqueue", "hello", "--from-file", "jobs.jsonl", "--json").json) == 3
    assert naq("queues", "show", "mail", "--json").json["queued"] == 3


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["helo", "-A", "tasks:app"], "did you mean 'hello'?"),
        (["hello", "n=x", "-A", "tasks:app"], "parameter 'n'"),
        (["hello", "{bad"], "not JSON"),
        (["hello", "--in", "soon"], "30s, 5m"),
        (["hello", "--at", "noon"], "2026-12-24T18:00"),
        (["hello", "--tag", "x"], "name=value"),
        (["hello", "--timeout", "3s"], "add --wait"),
        (["hello", "--in", "1s", "--at", "2037-01-01"], "give one"),
        (["hello", "--from-file", "nowhere"], "cannot be read"),
        (["hello", "--priority", "urgent"], "high"),
        (["hello", "--queue", "a b"], "letters"),
        (["hello", "--broker-url", "memory:"], "where no command can see them"),
        ([], "requires an argument"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_what_is_right(naq: Naqs, args: list[str], said: str) -> None:
    assert said in naq("enqueue", *args, code=2).err


def test_a_line_that_is_no_arguments_is_named(naq: Naqs) -> None:
    assert "line 2 is a int" in naq("enqueue", "hello", "--from-file", "-", stdin="[]\n7\n", code=2).err


def test_a_broker_that_is_away(naq: Naqs) -> None:
    said = naq("enqueue", "hello", "--broker-url", "nats://127.0.0.1:9", code=5, NAQ_CONNECT_TIMEOUT="300ms")
    assert "127.0.0.1:9" in said.err


def test_no_worker_knows_the_task(worker: Naqs) -> None:
    assert "did you mean 'hello'?" in worker("enqueue", "helo").err
    assert "no worker works on queue other" in worker("enqueue", "hello", "--queue", "other").err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["n=x"], 'n: "x" is not of type "integer"'),
        (["nam=ada"], "'nam' was unexpected"),
        (["name=7"], "needs quotes of its own"),
        (["ada", "5", "6"], "it takes 2 by position, and 3 are given"),
        (["ada", "name=ada"], "given by position as well"),
        (["--from-file", "-"], "line 2: hello does not take these arguments: args/1"),
    ],
)
def test_arguments_are_checked_by_what_workers_say(worker: Naqs, words: list[str], said: str) -> None:
    refused = worker("enqueue", "hello", *words, stdin='["ada"]\n["ada", "x"]\n', code=2)
    assert said in refused.err
    assert "hello(name: str = 'you', n: int = 1) -> str" in refused.err
    assert refused.out == ""
    assert worker("jobs", "list", "--task", "hello", "-q").lines == []  # nothing was stored


def test_force_stores_what_workers_would_refuse(worker: Naqs) -> None:
    assert "n" in worker("enqueue", "hello", "n=x", "--force", "--wait", code=1).err


def test_the_queue_is_what_workers_say(worker: Naqs) -> None:
    said = worker("enqueue", "hello", "--wait")
    assert "queued on mail" in said.err
    assert said.json == "hello you 1"


def test_a_dotted_name_that_is_nearly_known(worker: Naqs) -> None:
    assert "did you mean" not in worker("enqueue", "shop.mail.send").err  # a function, it may be
    assert "did you mean 'hello'?" in worker("enqueue", "hello.").err
