"""Retries as two plain values: how many, and how long to wait before each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from naq.exceptions import ConfigurationError
from naq.retry import Retry

RetryDelay = float | Sequence[float]


def read_retries(max_retries: int | None, retry_delay: RetryDelay | None) -> Retry | None:
    """The policy that these two mean; None where neither says anything, so that the task's own holds.

    Args:
        max_retries: how often to try again; default: once for every delay in `retry_delay` if that is a list, else 0.
        retry_delay: seconds before each retry, or a list of them (the last one repeats); default 0.

    Raises:
        ConfigurationError: one of them is no such value.
    """
    if max_retries is None and retry_delay is None:
        return None
    listed = isinstance(retry_delay, Sequence) and not isinstance(retry_delay, str | bytes)
    delays = tuple(cast("Sequence[float]", retry_delay)) if listed else (cast("float", retry_delay or 0.0),)
    if max_retries is None:
        max_retries = len(delays) if listed else 0
    if isinstance(max_retries, bool) or not isinstance(max_retries, int) or max_retries < 0:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise ConfigurationError(f"max_retries is {max_retries!r}; expected a whole number, 0 or more")
    return Retry(max_attempts=max_retries + 1, delays=delays or (0.0,))
