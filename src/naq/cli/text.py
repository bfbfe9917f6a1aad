"""Text that is safe to print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def plain(text: str) -> str:
    """`text` on one line and without control characters: what comes from a broker never steers a terminal."""
    return "".join(
        char if char.isprintable() else " " if char.isspace() else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def counted(number: int, noun: str) -> str:
    """``3 jobs``, ``1 job``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def call_text(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    """Arguments as they are written in a call: ``"ann", retries=3``."""
    import msgspec  # not for --help, which has nothing to call

    given = [msgspec.json.encode(arg).decode() for arg in args]
    given += [f"{name}={msgspec.json.encode(value).decode()}" for name, value in kwargs.items()]
    return ", ".join(given)
