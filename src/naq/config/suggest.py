"""'Did you mean': the nearest known name to one that is not known."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_ENOUGH: Final = 0.6  # difflib's ratio; lower suggests words that merely share letters
_SHOWN: Final = 12  # names listed when nothing is near; more is noise in an error message


def suggest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate nearest to `name` (case aside), or None where none is near."""
    import difflib

    by_folded = {candidate.casefold(): candidate for candidate in candidates}
    near = difflib.get_close_matches(name.casefold()[:200], by_folded, n=1, cutoff=_ENOUGH)
    return by_folded[near[0]] if near else None


def hint(name: str, candidates: Iterable[str]) -> str:
    """A sentence for the end of an error: the near name, else what there is."""
    known = sorted(candidates)
    near = suggest(name, known)
    if near is not None:
        return f"did you mean {near!r}?"
    if not known:
        return "there are none"
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"there are {', '.join(known[:_SHOWN])}{more}"
