"""What a command changed: a line for each thing, and the exit code that sums them up."""

from __future__ import annotations

from collections.abc import Sequence

from naq.cli.common import Common
from naq.cli.exits import Exit
from naq.cli.output import print_json
from naq.cli.text import plain
from naq.cli.views import Change


def report(changes: Sequence[Change], common: Common) -> int:
    """Print `changes`; 0 if all were done, 8 if some, else 3 where nothing was found and 4 where it did not fit."""
    if common.json:
        print_json(list(changes))
    else:
        for change in changes:
            if not common.quiet:
                print(plain(f"{change.id}  {change.outcome}"))
            elif change.done:
                print(plain(change.id))
    done = sum(change.done for change in changes)
    if done == len(changes):
        return Exit.DONE
    if done:
        return Exit.PARTLY
    return Exit.NOT_FOUND if all(change.outcome == "not found" for change in changes) else Exit.CONFLICT
