"""A function that is a job by its import path."""

from __future__ import annotations


def double(number: int) -> int:
    return 2 * number
