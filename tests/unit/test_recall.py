"""The server's memory of what it looked up."""

from __future__ import annotations

from naq import clock
from naq.server.recall import Recall


def test_each_entry_ends_by_its_own_time_and_the_oldest_makes_room() -> None:
    now = 100.0
    with clock.use(monotonic=lambda: now):
        held = Recall[str, int](ttl=10, most=3)
        held.put("a", 1)
        now = 105.0
        held.put("b", 2)
        assert (held.get("a"), held.get("b"), held.get("c")) == (1, 2, None)
        now = 110.0
        assert (held.get("a"), held.get("b")) == (None, 2)
        held.put("c", 3)
        assert len(held) == 2  # what has ended is gone
        held.put("d", 4)
        held.put("b", 5)  # held anew, it is the youngest
        held.put("e", 6)
        assert [held.get(key) for key in "abcde"] == [None, 5, None, 4, 6]
        held.clear()
        assert len(held) == 0
