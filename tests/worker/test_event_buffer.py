"""The buffer of events by itself: what it holds, drops and keeps in its file, whatever comes in whatever order."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from naq.backends.base import Event
from naq.config import Config
from naq.exceptions import ConfigurationError
from naq.worker.buffer.held import FIRST_TO_GO, OVERHEAD, Held, cost
from naq.worker.buffer.orphans import Orphans
from naq.worker.buffer.queue import Queue
from naq.worker.buffer.spill import Spill

KINDS = (*FIRST_TO_GO, "started", "attempt_failed")
MOST = 1_048_576


def event(number: int, kind: str = "progress", size: int = 0) -> Event:
    return Event(kind=kind, job_id=f"j{number}", queue="q", data=b"x" * size, at=float(number))


def importance(event: Event) -> int:
    return FIRST_TO_GO.index(event.kind) if event.kind in FIRST_TO_GO else len(FIRST_TO_GO)


class Buffering(RuleBasedStateMachine):
    """A plain list beside the buffer: what was put is held, written, or counted as dropped, and dropped in order."""

    @initialize(capacity=st.integers(1, 12), drops=st.booleans())
    def begin(self, capacity: int, drops: bool) -> None:
        self.held = Held(capacity * (OVERHEAD + 50), drops=drops)
        self.drops = drops
        self.there: list[Event] = []  # oldest first, what is taken at the head
        self.taken = 0
        self.number = 0
        self.dropped = 0

    @rule(kind=st.sampled_from(KINDS), size=st.integers(0, 200))
    def add(self, kind: str, size: int) -> None:
        self.number += 1
        new = event(self.number, kind, size)
        self.held.add(new)
        self.there.append(new)
        while self.drops and sum(map(cost, self.there)) > self.held.capacity:
            rest = self.there[self.taken :]
            if cost(new) > self.held.capacity:
                victim = new
            else:
                victim = min(rest, key=lambda each: (importance(each), each is new, each.at))
            self.there.remove(victim)
            self.dropped += 1
            if victim is new:
                break

    @precondition(lambda self: not self.taken)
    @rule(most=st.integers(0, 2000))
    def take(self, most: int) -> None:
        taken = self.held.take(most)
        self.taken = len(taken)
        assert taken == self.there[: self.taken]
        assert len(taken) <= 1 or sum(map(cost, taken)) <= most
        assert taken or not self.there

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        written = data.draw(st.integers(0, self.taken))
        self.held.settle(written)
        del self.there[:written]
        self.taken = 0

    @invariant()
    def bounds_hold_and_every_event_is_accounted_for(self) -> None:
        if self.number == 0:
            return
        assert len(self.held) == len(self.there)
        assert self.held.size == sum(map(cost, self.there))
        assert sum(self.held.dropped.values()) == self.dropped
        if self.drops:
            assert self.held.size <= self.held.capacity

    def teardown(self) -> None:
        if self.number:
            self.held.settle(0)
            assert self.held.take(1 << 30) == self.there


Buffering.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
test_what_is_put_is_held_written_or_counted: Any = Buffering.TestCase


def test_progress_goes_first_and_what_is_being_written_never() -> None:
    held = Held(4 * OVERHEAD, drops=True)
    for number, kind in enumerate(("attempt_failed", "progress", "log", "metric")):
        held.add(event(number, kind))
    assert [each.kind for each in held.take(2 * OVERHEAD)] == ["attempt_failed", "progress"]
    held.add(event(4, "started"))  # the progress is under way, so that the metric goes
    held.add(event(5, "progress"))  # matters less than all that is there
    assert held.dropped == {"metric": 1, "progress": 1}
    held.settle(0)
    assert [each.at for each in held.take(MOST)] == [0, 1, 2, 4]


sizes = st.lists(st.integers(0, 3000), max_size=8)


@settings(max_examples=60, deadline=None)
@given(steps=st.lists(st.tuples(st.sampled_from(("add", "drop", "reopen")), sizes), max_size=25))
def test_a_file_is_a_queue_that_outlives_its_process(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, list[int]]]
) -> None:
    path, most = tmp_path_factory.mktemp("spill") / "w.events", 20_000
    spill, there, number = Spill(path, most), list[Event](), 0
    for step, batch in steps:
        if step == "add":
            new = [event(number + at, size=size) for at, size in enumerate(batch)]
            number += len(new)
            if spill.add(new):
                there += new
        elif step == "drop":
            gone = spill.peek(sum(batch))
            assert gone == there[: len(gone)]
            spill.drop(len(gone))
            del there[: len(gone)]
        else:
            os.close(spill._fd)  # pyright: ignore[reportPrivateUsage]  as its process ends when it is killed
            spill = Spill(path, most)
        assert spill.size <= most
        assert len(spill) == len(there)
    assert spill.peek(MOST) == there
    spill.close()
    assert path.exists() == bool(there)


def test_room_in_the_file_is_used_again(tmp_path: Path) -> None:
    one = event(0, size=1000)
    with Spill(tmp_path / "w.events", 10_000) as spill:
        for _ in range(100):  # it is never empty
            assert spill.add([one, one])
            spill.drop(len(spill) - 1)
        assert spill.peek(MOST) == [one]
        spill.drop(1)
    assert not (tmp_path / "w.events").exists()


@pytest.mark.parametrize("harm", ["cut", "flipped", "garbage"])
def test_a_frame_that_is_not_whole_ends_the_file(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "w.events"
    with Spill(path, MOST) as spill:
        assert spill.add([event(1, size=10), event(2, size=10)])
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-3], "flipped": data[:-1] + b"!", "garbage": data + struct.pack("<II", 9, 9)}[harm])
    with Spill(path, MOST) as spill:
        left = [each.at for each in spill.peek(MOST)]
        assert left == ([1, 2] if harm == "garbage" else [1])
        assert spill.add([event(3)])
    with Spill(path, MOST) as spill:
        assert [each.at for each in spill.peek(MOST)] == [*left, 3]


def test_files_of_the_living_and_of_strangers_are_let_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "other.events").write_bytes(b"not ours, and longer than a header")
    with Spill(tmp_path / "dead.events", MOST) as dead:
        assert dead.add([event(2)])
    orphans = Orphans(tmp_path, MOST, tmp_path / "own.events")
    with Spill(tmp_path / "living.events", MOST) as living:
        assert living.add([event(1)])
        [found] = orphans.find()
        with found:
            assert found.path.name == "dead.events"
            assert [each.at for each in found.peek(MOST)] == [2]
            assert orphans.find() == []
            found.drop(1)
    [found] = orphans.find()
    assert found.path.name == "living.events"
    found.close()
    assert caplog.text.count("other.events cannot be read: it is no file of events of this version of naq") == 1


def spilling(tmp_path: Path) -> Config:
    return Config(
        broker_url="memory:", event_overflow="spill", event_spill_dir=str(tmp_path / "kept"), event_buffer=65_536
    )


def test_what_is_taken_and_not_written_stands_first_in_the_file(tmp_path: Path) -> None:
    queue = Queue(spilling(tmp_path), "w")
    for number in range(3):
        queue.add(event(number))
    assert [each.at for each in queue.take(2 * OVERHEAD)] == [0, 1]
    queue.shelter()
    assert not len(queue.held)
    queue.settle(1)  # the first was written after all
    queue.add(event(3))
    assert [each.at for each in queue.take(MOST)] == [1, 2, 3]
    queue.settle(0)
    queue.close()
    [left] = Queue(spilling(tmp_path), "x").orphans()
    with left:
        assert [each.at for each in left.peek(MOST)] == [1, 2, 3]


def test_a_disk_that_is_full_leaves_events_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue = Queue(spilling(tmp_path), "w")
    queue.add(event(1))

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        queue.shelter()
    assert len(queue.held)
    assert queue.take(MOST) == [event(1)]
    queue.settle(1)
    queue.close()


def test_a_folder_that_cannot_be_is_an_error_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file")
    with pytest.raises(ConfigurationError, match=r"event_spill_dir .* cannot be used"):
        Queue(spilling(tmp_path), "w")
    with pytest.raises(ConfigurationError, match="belong together"):
        Config(event_overflow="spill")
