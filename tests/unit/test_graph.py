"""Who waits for whom: deadlines of those who wait."""

from __future__ import annotations

import math

from naq.codec.after import After
from naq.flow.graph import Graph, Then

AFTER = After()


def test_each_expires_once_at_its_time() -> None:
    graph = Graph()
    for child, expires in (("late", 20.0), ("early", 10.0), ("never", None)):
        graph.add(child, AFTER, ["parent"], expires=expires)
    assert graph.next_deadline == 10.0
    assert graph.expired(9.9) == []
    assert [(decision.child, decision.then) for decision in graph.expired(10.0)] == [("early", Then.EXPIRE)]
    assert graph.expired(10.0) == []
    assert graph.next_deadline == 20.0
    assert [decision.child for decision in graph.ended("parent", "succeeded")] == ["late", "never"]
    assert graph.next_deadline == math.inf


def test_another_of_the_same_id_has_its_own_time() -> None:
    """One that was purged, and its id used again with more time, does not expire at the time of the first."""
    graph = Graph()
    graph.add("child", AFTER, ["parent"], expires=10.0)
    graph.drop("child")
    graph.add("child", AFTER, ["parent"], expires=30.0)
    assert graph.expired(29.0) == []
    assert [decision.child for decision in graph.expired(30.0)] == ["child"]
