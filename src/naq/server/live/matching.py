"""How many jobs changed that fit a filter, counted once for all who watch with the same one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naq.server.filters import Filter
from naq.server.store.conditions import Among, Begins, Condition, Contains


class Matching:
    """A count by state that only grows; who watches remembers what it has told."""

    def __init__(self, wanted: Filter) -> None:
        self._wanted = wanted
        self.states: dict[str, int] = {}
        self.watchers = 0

    def see(self, about: Mapping[str, Any]) -> bool:
        """Count a change, if it fits."""
        if not all(fits(one, about) for one in self._wanted.conditions):
            return False
        state = str(about["state"])
        self.states[state] = self.states.get(state, 0) + 1
        return True


def fits(condition: Condition, about: Mapping[str, Any]) -> bool:
    """Whether a change may be of a job that `condition` holds for; what a change does not tell of counts as yes."""
    match condition:
        case Among(field, values):
            return field not in about or (str(about[field]) in values) != condition.negated
        case Begins(field, text):
            return field not in about or str(about[field]).startswith(text) != condition.negated
        case Contains(field, text):
            return field not in about or (text.casefold() in str(about[field]).casefold()) != condition.negated
        case _:
            return True
