"""``naq jobs tree``: a job with all that it hangs together with, drawn."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from naq.cli.common import DEFAULT, Common, read_config, talk
from naq.cli.errors import NotFoundError
from naq.cli.output import print_json
from naq.cli.text import plain
from naq.flow.family import Family, Member, find_family

MOST: Final = 50  # siblings that are drawn; more of them are counted by state
DEEPEST: Final = 30  # generations that are drawn; further ones are to be asked for
_MARKS: Final = {
    "succeeded": "✓", "failed": "✗", "cancelled": "⊘", "expired": "⌛", "running": "▶", "queued": "·",
    "scheduled": "◷", "retrying": "↻", "blocked": "⏸", "unknown": "?",
}  # fmt: skip


class TreeView(Struct, frozen=True):
    """A family as one JSON document. `more`: there are others, which are not listed."""

    id: str
    jobs: list[Member]
    more: bool


def tree(job_id: str, /, *, common: Common = DEFAULT) -> None:
    """Draw a job with all it hangs together with: what waits for what, and what was enqueued by what.

    All jobs that wait or run are looked at, and the newest 20,000 of those that have ended.

    Example: naq jobs tree 01JC4N9W2V

    Args:
        job_id: The job.
    """
    config = read_config(common)
    family = talk(config, lambda backend: find_family(backend, config, job_id))
    if family is None:
        raise NotFoundError(f"there is no job {job_id!r} in this namespace, and no record of one; see naq jobs list")
    if common.json:
        print_json(TreeView(family.job_id, list(family.members.values()), family.more))
    elif common.quiet:
        for one in family.members:
            print(plain(one))
    else:
        for line in draw(family):
            print(line)


def draw(family: Family) -> list[str]:
    """The lines of the drawing. A job that comes of several is drawn below the first, and named below the others."""
    children, drawn = family.children(), set[str]()
    lines: list[str] = []

    def put(job_ids: Sequence[str], indent: str, depth: int) -> None:
        shown, rest = job_ids[:MOST], job_ids[MOST:]
        for at, one in enumerate(shown):
            last = at + 1 == len(shown) and not rest
            again = one in drawn
            drawn.add(one)
            branch = "" if depth == 0 else "└── " if last else "├── "
            lines.append(f"{indent}{branch}{_say(family.members[one], family.job_id, again=again)}")
            following = [] if again else children.get(one, [])
            deeper = indent + ("" if depth == 0 else "    " if last else "│   ")
            if following and depth == DEEPEST:
                lines.append(f"{deeper}└── and so on: naq jobs tree {plain(following[0])}")
            elif following:
                put(following, deeper, depth + 1)
        if rest:
            counts = Counter(family.members[one].state for one in rest)
            said = ", ".join(f"{count:,} {state}" for state, count in counts.most_common())
            lines.append(f"{indent}{'└── ' if depth else ''}and {len(rest):,} more: {said}")

    put(family.roots, "", 0)
    if family.more:
        lines.append("and others that are not drawn")
    return lines


def _say(member: Member, asked: str, *, again: bool = False) -> str:
    text = f"{_MARKS.get(member.state, '?')} {plain(member.task) or '(unread)'}  {plain(member.id)}  {member.state}"
    if again:
        return text + "  (drawn above)"
    if member.id == asked:
        text += "  ←"
    return text + (f"  {plain(member.reason)[:100]}" if member.reason else "")
