"""The lines of the first page, from values: which there are, in which order, and what they say."""

from __future__ import annotations

from naq.server.attention import needs
from naq.server.attention.needs import Runner
from naq.server.store.rows import MICRO

NOW = 1_790_000_000 * MICRO
MINUTE = 60 * MICRO


def ago(seconds: float) -> int:
    return NOW - round(seconds * MICRO)


def test_jobs_of_a_worker_that_vanished_are_named_by_worker() -> None:
    running = [
        Runner("a", "t", "gone", ago(100)), Runner("b", "t", "gone", ago(90)), Runner("c", "t", "here", ago(500)),
        Runner("d", "t", "gone", ago(5)),
    ]  # fmt: skip
    [line] = needs.lost(running, {"gone": ago(30)})
    assert (line.id, line.count, line.since) == ("lost_jobs:gone", 2, ago(30)), (
        "d began on a worker of the same id later"
    )
    assert line.sentence == "worker gone has vanished with 2 running jobs; another takes them over"
    assert line.action.path == "/jobs?filter=worker:gone%20state:running"


def test_a_job_is_slow_by_what_its_task_usually_takes() -> None:
    usual = {"quick": 2 * MICRO, "long": 100 * MICRO}
    running = [
        Runner("a", "quick", "w", ago(59)), Runner("b", "quick", "w", ago(61)), Runner("c", "long", "w", ago(299)),
        Runner("d", "new", "w", ago(9000)),
    ]  # fmt: skip
    assert [line.subject for line in needs.slow(running, usual, NOW)] == ["quick"]
    later = [Runner("c", "long", "w", ago(301)), Runner("e", "long", "w", ago(400))]
    [line] = needs.slow(later, usual, NOW)
    assert line.sentence == "2 jobs run of long for 7 min (usually under 100 s)"
    assert line.since == ago(400)


def test_what_was_noted_is_so_as_long_as_it_is_noted() -> None:
    limits = {"queue_age": 900.0, "storage": 0.9}
    minute = NOW - NOW % MINUTE
    rows = [
        ("queue_age", "long-ago", minute - 9 * MINUTE, 2000.0),
        ("queue_age", "mail", minute - 3 * MINUTE, 1000.0),
        ("queue_age", "mail", minute - 2 * MINUTE, 10.0),
        ("queue_age", "mail", minute - MINUTE, 950.0),
        ("queue_age", "mail", minute, 1010.0),
        ("storage", "disk", minute - MINUTE, 0.95),
        ("storage", "disk", minute, 0.5),
    ]
    assert list(needs.standing(rows, limits, NOW)) == [("queue_age", "mail", minute - MINUTE, 1010.0)]


def test_the_worst_comes_first_and_each_says_what_to_do() -> None:
    lines = [
        needs.behind(12, 4000, NOW), needs.full("disk", 0.934, 0.9, ago(60)), needs.dead(1, 3600, NOW),
        needs.missed("nightly", 600, NOW), needs.failing("shop.send", 0.254, 0.2, 300, NOW),
        needs.error("f1", "shop.send", "ValueError", ago(50), 3, back=True), needs.late("mail", 1800, 900, NOW),
        needs.paused("mail", 1, ago(500), "ann@here"), needs.unserved("a b", 2, None),
        needs.unserved("mail", 7, ago(9)),
    ]  # fmt: skip
    found = needs.ordered(lines)
    assert [line.kind for line in found] == [
        "unserved_queue", "unserved_queue", "paused_queue", "late_queue", "new_error", "failing_task",
        "missed_schedule", "dead_letters", "storage", "ingest_lag",
    ]  # fmt: skip
    said = {line.kind: (line.sentence, line.action.method, line.action.path) for line in found[1:]}
    assert said == {
        "unserved_queue": ("7 jobs wait in queue mail, which no worker serves", "GET", "/queues/mail"),
        "paused_queue": ("queue mail is paused by ann@here; 1 job waits in it", "POST", "/queues/mail/resume"),
        "late_queue": ("the oldest job of queue mail has waited for 30 min (more than 15 min)", "GET",
                       "/jobs?filter=queue:mail%20state:queued"),
        "new_error": ("ValueError in shop.send came back", "GET", "/errors/f1"),
        "failing_task": ("25% of shop.send failed within 5 min (more than 20%)", "GET",
                         "/jobs?filter=task:shop.send%20state:failed"),
        "missed_schedule": ("schedule nightly should have run 10 min ago", "GET", "/schedules/nightly"),
        "dead_letters": ("1 job has failed for good within 60 min", "POST", "/bulk-actions"),
        "storage": ("disk is 93% full (more than 90%); full, it takes no more", "GET", "/settings"),
        "ingest_lag": ("the history is 12 s behind: 4,000 events to go", "GET", "/settings"),
    }  # fmt: skip
    assert found[0].action.path == "/queues/a%20b"
