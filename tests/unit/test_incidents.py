"""The steps from how things are to what is wrong, without a server."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from naq.server.alerts.incidents import Incident, Step, acknowledge, look, resolve
from naq.server.alerts.rules import Rule
from naq.server.store.rows import MICRO

START = 1_000_000 * MICRO


def rule(**how: int) -> Rule:
    given: dict[str, int] = {"for_s": 0, "clear_s": 60, "repeat_s": 600} | how
    return Rule(name="r", kind="queue_depth", threshold=10, **given)  # pyright: ignore[reportArgumentType]


class Story:
    """One subject, looked at every ten seconds."""

    def __init__(self, rule: Rule) -> None:
        self.rule, self.now = rule, START
        self.incident: Incident | None = None
        self.told: list[tuple[str, int]] = []
        self.ids: dict[str, None] = {}

    def see(self, *values: float) -> Story:
        for value in values:
            step: Step = look(self.rule, self.incident, "q", value, self.now)
            self.incident = step.incident
            if step.incident is not None:
                self.ids[step.incident.id] = None
            if step.tell:
                self.told.append((step.tell, (self.now - START) // MICRO))
            self.now += 10 * MICRO
        return self

    @property
    def state(self) -> str:
        return "" if self.incident is None else self.incident.state


def test_it_opens_at_once_and_is_resolved_when_it_was_good_long_enough() -> None:
    story = Story(rule()).see(5, 11)
    assert (story.state, story.told) == ("open", [("opened", 10)])
    story.see(*[3] * 6)
    assert story.state == "open", "60 s are not over"
    story.see(3)
    assert story.state == "resolved"
    assert story.told == [("opened", 10), ("resolved", 80)]
    assert story.incident is not None
    assert story.incident.worst == 11
    assert story.incident.resolved_by == ""


def test_exactly_the_threshold_is_good() -> None:
    assert Story(rule()).see(10).incident is None


def test_what_is_bad_for_a_moment_opens_nothing() -> None:
    story = Story(rule(for_s=30)).see(11, 11)
    assert story.state == "pending"
    story.see(9)
    assert story.incident is None
    story.see(11, 11, 11, 11)
    assert (story.state, story.told) == ("open", [("opened", 60)])


def test_what_comes_and_goes_is_one_incident_and_few_messages() -> None:
    story = Story(rule(clear_s=0, repeat_s=600)).see(*[11, 9] * 30)
    assert len(story.ids) == 1
    assert story.incident is not None
    assert story.incident.reopened == 29
    assert story.told == [("opened", 0), ("resolved", 10)]


def test_who_is_not_told_again_in_time_is_told_when_that_is_over() -> None:
    story = Story(rule(clear_s=0, repeat_s=100)).see(11, 9, *[11] * 20)
    assert story.told == [("opened", 0), ("resolved", 10), ("opened", 110), ("repeated", 210)]


def test_one_that_is_long_gone_is_another() -> None:
    story = Story(rule(clear_s=0, repeat_s=50)).see(11, 9, 9, 9, 9, 9, 9, 11)
    assert len(story.ids) == 2


def test_who_knows_is_told_no_more_but_its_end() -> None:
    story = Story(rule(repeat_s=20)).see(11, 11, 11)
    assert [what for what, _ in story.told] == ["opened", "repeated"]
    assert story.incident is not None
    story.incident = acknowledge(story.incident, story.now, by="me", note="on it")
    story.see(*[11] * 10, *[1] * 7)
    assert [what for what, _ in story.told] == ["opened", "repeated", "resolved"]
    assert story.incident is not None
    assert (story.incident.acknowledged_by, story.incident.note) == ("me", "on it")


def test_one_that_a_person_resolved_and_that_holds_opens_again_and_says_so_later() -> None:
    story = Story(rule(repeat_s=100)).see(11)
    assert story.incident is not None
    story.incident = resolve(story.incident, story.now, by="me")
    story.see(11)
    assert story.state == "open"
    assert len(story.ids) == 1
    story.see(*[11] * 9)
    assert story.told == [("opened", 0), ("opened", 100)]


def test_nobody_is_told_while_it_is_muted() -> None:
    muted = Rule(name="r", kind="queue_depth", threshold=10, clear_s=0, muted_until=START + 50 * MICRO)
    story = Story(muted).see(11, 11, 9)
    assert (story.state, story.told) == ("resolved", [])
    story = Story(muted).see(*[11] * 7)
    assert story.told == [("opened", 50)]


@given(
    values=st.lists(st.sampled_from([5.0, 11.0, 20.0]), max_size=200),
    for_s=st.integers(0, 60),
    clear_s=st.integers(0, 60),
    repeat_s=st.integers(0, 300),
)
def test_messages_are_apart_and_every_end_had_a_beginning(
    values: list[float], for_s: int, clear_s: int, repeat_s: int
) -> None:
    story = Story(rule(for_s=for_s, clear_s=clear_s, repeat_s=repeat_s)).see(*values)
    begun = [at for what, at in story.told if what != "resolved"]
    assert all(later - earlier >= repeat_s for earlier, later in pairwise(begun))
    is_open = False
    for what, _ in story.told:
        assert is_open == (what != "opened")
        is_open = what != "resolved"
    if story.incident is not None and story.incident.state == "resolved":
        assert not is_open
