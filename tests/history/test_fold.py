"""Events become rows, in whatever order and however often."""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import Any

import msgspec
import pytest
from history_tools import NOW, Rig, ended, failure, make_rig, record, told
from hypothesis import given, settings
from hypothesis import strategies as st

from naq import clock
from naq.backends.base import Event
from naq.config import Config
from naq.job import JobState, new_id
from naq.server.access.redact import Redactor
from naq.server.ingest.fold import fold
from naq.server.ingest.ids import made_at, schedule_of
from naq.server.ingest.said import Unreadable, read
from naq.server.store.changes import Changes, bucket_end, bucket_of
from naq.server.store.tables import (
    attempts,
    cursors,
    durations,
    error_hours,
    errors,
    events,
    invalid,
    jobs,
    logs,
    rollups,
    tags,
    tasks,
)

CONFIG = Config(broker_url="memory:", namespace="test")
LINE = {"at": NOW + 1.2, "level": "INFO", "logger": "shop", "text": "hello\0"}
LIFE = "01JC4N9W2V00000000000000AA"


def life(job_id: str = LIFE) -> list[Event]:
    """A job that fails, is tried again, fails for good, is run again, and succeeds."""
    again: dict[str, Any] = {"task": "shop.send", "run": 1, "attempt": 1, "worker": "w-1"}
    first = failure(1, at=NOW + 2)
    second: dict[str, Any] = again | {"attempt": 2}
    third: dict[str, Any] = again | {"run": 2, "attempt": 1}
    return [
        told("started", job_id, NOW + 1, **again),
        told("log", job_id, NOW + 1.5, "mail", run=1, attempt=1, lines=[LINE], dropped=3),
        told("attempt_failed", job_id, NOW + 2, **again, error=msgspec.to_builtins(first), next_in=5.0),
        told("started", job_id, NOW + 7, **second),
        told("progress", job_id, NOW + 8, run=1, attempt=2, value=0.5, message="half"),
        ended(record(id=job_id, state=JobState.FAILED, attempt=2, errors=[first, failure(2, at=NOW + 9)],
                     started_at=NOW + 7, finished_at=NOW + 9, tags={"team": "a"})),
        told("started", job_id, NOW + 20, **third),
        told("metric", job_id, NOW + 20.5, run=2, attempt=1, name="rows", value=3.0),
        ended(record(id=job_id, run=2, attempt=1, result=msgspec.Raw(b'{"n":1}'), started_at=NOW + 20,
                     finished_at=NOW + 21, tags={"team": "a"})),
    ]  # fmt: skip


def folded(given: list[Event]) -> Changes:
    changes = Changes({}, set())
    for event in given:
        said = read(CONFIG, event)
        if said is not None:
            fold(changes, event, said)
    return changes


def seen(changes: Changes) -> dict[str, Any]:
    """What does not depend on the order of events, if the fold is right."""
    rows = {name: (row.state, row.run, row.attempt, row.worker, row.started_at, row.finished_at, row.result,
                   row.error, row.duration_us, row.task) for name, row in changes.jobs.items()}  # fmt: skip
    counts = {key: sums.count for key, sums in changes.rollups.items() if key[:2] == (3600, "all")}
    tried = sorted((row.job_id, row.run, row.attempt, row.outcome, row.error) for row in changes.attempts)
    groups = {name: delta.count for name, delta in changes.errors.items()}
    return {"rows": rows, "counts": counts, "attempts": tried, "errors": groups, "logs": len(changes.logs)}


class TestFold:
    """Pure: no database."""

    def test_the_life_of_a_job(self) -> None:
        changes = folded(life())
        row = changes.jobs[LIFE]
        assert (row.state, row.run, row.attempt) == ("succeeded", 2, 1)
        assert row.result == '{"n":1}'
        assert row.error is None
        assert row.duration_us == 1_000_000
        assert [(one.run, one.attempt, one.outcome) for one in changes.attempts] == [
            (1, 1, "retrying"), (1, 2, "failed"), (2, 1, "succeeded"),
        ]  # fmt: skip
        (group,) = changes.errors.values()
        assert group.count == 2  # both attempts failed alike, though with other numbers and names
        counts = {key[4]: sums.count for key, sums in changes.rollups.items() if key[:2] == (3600, "all")}
        assert counts == {"created": 1, "retrying": 1, "failed": 1, "succeeded": 1}

    @given(st.randoms(use_true_random=False), st.lists(st.integers(0, 8), max_size=9))
    @settings(max_examples=150, deadline=None)
    def test_any_order_and_any_duplicates_end_alike(self, shuffled: random.Random, again: list[int]) -> None:
        story = life()
        wanted = seen(folded(story))
        mixed = [*story, *(story[n] for n in again)]
        shuffled.shuffle(mixed)
        found = folded(mixed)
        found.logs = list({(row.job_id, row.told_at, row.n): row for row in found.logs}.values())
        assert seen(found) == wanted

    def test_arguments_come_with_the_record_whatever_came_before(self) -> None:
        called, note = '{"args":[1],"kwargs":{"to":"ann"}}', '{"naq:left_out":"9000 bytes"}'
        over = record(arguments=msgspec.Raw(note.encode()))
        for end in itertools.permutations(
            [*life()[:5], ended(record(id=LIFE, arguments=msgspec.Raw(called.encode())))]
        ):
            assert folded(list(end)).jobs[LIFE].args == called
        assert folded([ended(over)]).jobs[over.id].args == note
        known = folded([ended(record(id=over.id, arguments=msgspec.Raw(called.encode())))])
        said = read(CONFIG, event := ended(msgspec.structs.replace(over, run=2)))
        assert said is not None
        fold(known, event, said)
        assert known.jobs[over.id].args == called, "what is known is better than word that it was left out"

    def test_arguments_are_redacted_before_they_are_kept(self) -> None:
        given = record(arguments=msgspec.Raw(b'{"args":[],"kwargs":{"password":"hunter2","n":1}}'))
        said = read(CONFIG, event := ended(given))
        assert said is not None
        changes = Changes({}, set())
        redact = Redactor(["password"])
        fold(changes, event, said, hide=lambda _task, what, text: redact.hide(text) if what == "args" else text)
        assert changes.jobs[given.id].args == '{"args":[],"kwargs":{"password":"[hidden]","n":1}}'

    def test_a_child_before_its_parent(self) -> None:
        parent, child = record(), record()
        child = msgspec.structs.replace(child, parent=parent.id, root=parent.id)
        changes = folded([ended(child)])
        assert changes.jobs[parent.id].task == ""
        assert changes.jobs[child.id].parent_id == parent.id
        changes = folded([ended(child), ended(parent)])
        assert (changes.jobs[parent.id].state, changes.jobs[parent.id].task) == ("succeeded", "shop.send")
        created = sum(
            sums.count for key, sums in changes.rollups.items() if key[:2] + key[4:] == (60, "all", "created")
        )
        assert created == 2

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (told("record", "a", text=1), "missing required field"),
            (Event(kind="record", job_id="a", queue="q", data=b"\xff{", at=NOW), "malformed"),
            (ended(record(state=JobState.RUNNING)), "not final"),
            (msgspec.structs.replace(ended(record()), job_id="other"), "another job"),
            (ended(record(run=10**9)), "out of range"),
            (ended(record(started_at=1e300)), "times"),
            (ended(record(task="no task\n")), "not allowed"),
            (ended(record(parent="../x")), "no job id"),
            (ended(record(result=msgspec.Raw(b'"\xff"'))), "utf-8"),
            (ended(record(arguments=msgspec.Raw(b'{"args":["\xff"]}'))), "utf-8"),
            (told("started", "a b"), "not allowed"),
            (told("attempt_failed", "a", next_in=-1), "delay"),
            (told("progress", "a", value="much"), "cannot be read"),
            (told("log", "a", at=float("inf")), "time"),
        ],
    )
    def test_what_is_no_event_is_refused_with_a_reason(self, event: Event, reason: str) -> None:
        with pytest.raises(Unreadable, match=reason):
            read(CONFIG, event)

    def test_buckets_are_narrow_and_in_order(self) -> None:
        for us in [*range(5000), *(1 << n for n in range(62)), *(3 << n for n in range(60))]:
            bucket = bucket_of(us)
            assert us < bucket_end(bucket)
            assert bucket == 0 or us >= bucket_end(bucket - 1)
            assert us < 8 or bucket_end(bucket) - us <= us / 4 + 1


def test_what_the_tables_hold(url: str) -> None:
    async def main(rig: Rig) -> None:
        await rig.take(*life())
        row = await rig.job(LIFE)
        assert (row["state"], row["run"], row["worker"]) == ("succeeded", 2, "w-1")
        assert [(one["run"], one["attempt"], one["outcome"]) for one in await rig.rows(attempts)] == [
            (1, 1, "retrying"), (1, 2, "failed"), (2, 1, "succeeded"),
        ]  # fmt: skip
        (line,) = await rig.rows(logs)
        assert (line["text"], line["dropped"], line["logger"]) == ("hello\ufffd", 3, "shop")
        assert [event["kind"] for event in await rig.rows(events)] == ["metric"]
        assert [(tag["name"], tag["value"]) for tag in await rig.rows(tags)] == [("team", "a")]
        (group,) = await rig.rows(errors)
        assert (group["count"], group["task"], group["state"]) == (2, "shop.send", "open")
        assert sum(hour["count"] for hour in await rig.rows(error_hours)) == 2
        assert [task["name"] for task in await rig.rows(tasks)] == ["shop.send"]
        assert (await rig.rows(cursors))[0]["events"] == 9

    run(url, main)


def test_batches_of_any_size_end_alike(url: str) -> None:
    """Whatever is together in a transaction, and however often it comes: the tables are the same."""
    story = [event for n in range(12) for event in life(f"01JC4N9W2V0000000000000{n:03}")]
    tables = (jobs, attempts, logs, events, tags, errors, error_hours, rollups, durations, tasks)

    async def main(rig: Rig) -> None:
        random.Random(4).shuffle(story)
        for start in range(0, len(story), 7):
            await rig.take(*story[start : start + 7])
        wanted = [await rig.rows(table) for table in tables]
        await rig.take(*story, *story)
        for table, before in zip(tables, wanted, strict=True):
            assert await rig.rows(table) == before, table.name

    run(url, main)


def test_a_foreign_key_that_survives_the_child_first(url: str) -> None:
    async def main(rig: Rig) -> None:
        grandparent = record()
        parent = record(parent=grandparent.id, root=grandparent.id)
        child = record(parent=parent.id, root=grandparent.id)
        await rig.take(ended(child))
        assert (await rig.job(parent.id))["rank"] == 0
        await rig.take(ended(parent))
        assert (await rig.job(parent.id))["parent_id"] == grandparent.id
        await rig.take(ended(grandparent), ended(record(id="loop", parent="loop")))
        assert (await rig.job(grandparent.id))["task"] == "shop.send"
        assert (await rig.job("loop"))["parent_id"] is None
        both = [record(id="b", parent="a"), record(id="a", parent="b")]
        await rig.take(*map(ended, both))  # nobody makes such jobs; nobody may stop the history with them

    run(url, main)


def test_invalid_events_go_to_the_dead_letters_and_stop_nothing(url: str) -> None:
    async def main(rig: Rig) -> None:
        bad = Event(kind="record", job_id="x", queue="q", data=b"{", at=NOW)
        good = record()
        await rig.take(bad, ended(good), told("started", "y", run="one"))
        assert (await rig.job(good.id))["state"] == "succeeded"
        found = await rig.rows(invalid)
        assert [(row["kind"], row["data"]) for row in found] == [("record", b"{"), ("started", b'{"run":"one"}')]
        assert all(row["reason"] for row in found)
        assert (await rig.rows(cursors))[0]["invalid"] == 2

    run(url, main)


def test_an_event_that_the_database_refuses_is_set_aside_alone(url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that is checked is wrong with it: an integer that no column holds."""

    async def main(rig: Rig) -> None:
        many = [record(delivered=10**30 if n == 13 else 1) for n in range(20)]
        await rig.take(*map(ended, many))
        assert await rig.count(jobs) == 19
        (row,) = await rig.rows(invalid)
        assert row["job_id"] == many[13].id
        assert "the database refused it" in row["reason"]
        cursor = (await rig.rows(cursors))[0]
        assert (cursor["events"], cursor["invalid"]) == (20, 1)
        assert many[13].id in caplog.text

    run(url, main)


def run(url: str, main: Any) -> None:
    async def inside() -> None:
        async with make_rig(url) as rig:
            await main(rig)

    asyncio.run(inside())


def test_ids() -> None:
    job_id = new_id()
    assert abs(made_at(job_id, 2**62) / 1e6 - clock.now()) < 60
    assert made_at("Z" * 26, 5) == 5
    assert made_at("01M8MGV657DHBXMEMGB41BX63G", 5) == 1_795_985_086_631_000
    for other in "iloILOU_-é٣ ":  # what `int` might read as a digit, or around one, but is none of an id's
        assert made_at(f"01M8M{other}V657DHBXMEMGB41BX63G", 5) == 5, other
    assert schedule_of("cron-nightly-report-abc-1") == "nightly-report"
    assert schedule_of("back-nightly-abc") == "nightly"
    assert schedule_of(job_id) is None
    assert schedule_of("cron-x") is None
