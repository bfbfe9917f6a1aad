"""What a check found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

_SHOWN: Final = 20  # violations in one message; more say nothing new


class Violation(Struct, frozen=True):
    """An invariant that did not hold: its letter, what kind of breach, for which job, and the evidence in words."""

    invariant: str
    kind: str
    job: str
    text: str

    def __str__(self) -> str:
        return f"[{self.invariant}] {self.kind} {self.job}: {self.text}"


class Excused(Struct, frozen=True):
    """An attempt that was executed once more, and the fault that allows it."""

    job: str
    attempt: int
    fault: str


class Report(Struct, frozen=True):
    """The outcome of a check.

    Attributes:
        violations: what did not hold; empty is good.
        excused: extra executions that the contract allows, each with its fault.
        seen: how often something was seen that only happens when a fault strikes, or that shows the size of the run.
    """

    violations: tuple[Violation, ...]
    excused: tuple[Excused, ...]
    seen: Mapping[str, int]

    def verify(self, *sometimes: str) -> None:
        """Insist that every invariant held, and that each of `sometimes` was seen at least once.

        Raises:
            AssertionError: says what was violated, or what never happened, so that the run proves nothing.
        """
        lines = [str(violation) for violation in self.violations[:_SHOWN]]
        if len(self.violations) > _SHOWN:
            lines.append(f"... and {len(self.violations) - _SHOWN} more")
        lines += [
            f"[sometimes] {name!r} was never seen; this run proves nothing about it (seen: {dict(self.seen)})"
            for name in sometimes
            if not self.seen.get(name)
        ]
        if lines:
            raise AssertionError("\n".join(lines))

    def kinds(self) -> set[str]:
        """The kinds of breach, for tests of the checker."""
        return {violation.kind for violation in self.violations}
