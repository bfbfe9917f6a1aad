"""Findings of a check, for people and programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from naq.cli.common import Common
from naq.cli.exits import Exit
from naq.cli.output import print_json
from naq.cli.text import plain
from naq.cli.views import Check

_SIGNS: Final = {"ok": "✓", "warning": "!", "problem": "✗"}


def print_checks(checks: Sequence[Check], common: Common) -> None:
    """A line for each of `checks`, and one for its advice; with -q only those that are not ok."""
    if common.json:
        print_json(list(checks))
        return
    for check in checks:
        if common.quiet and check.level == "ok":
            continue
        print(f"{_SIGNS[check.level]} {plain(check.text)}")
        if check.advice:
            print(f"  → {plain(check.advice)}")


def worst(checks: Sequence[Check]) -> int:
    """The exit code that `checks` amount to: 1 if one is a problem."""
    return Exit.FAILED if any(check.level == "problem" for check in checks) else Exit.DONE
