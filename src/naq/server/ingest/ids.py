"""What a job's id tells: when it was made, which schedule made it. Pure."""

from __future__ import annotations

from typing import Final

_DIGITS: Final = {digit: value for value, digit in enumerate("0123456789ABCDEFGHJKMNPQRSTVWXYZ")}
_EARLIEST, _LATEST = 1_500_000_000_000, 253_402_300_799_000  # milliseconds: what else could be a ULID by chance
_TICKS: Final = {"cron": 2, "back": 1}  # what follows the name of the schedule, in parts


def made_at(job_id: str, otherwise: int) -> int:
    """When `job_id` was made, in microseconds, where it is a ULID; `otherwise` where it is not."""
    if len(job_id) != 26:
        return otherwise
    ms = 0
    for digit in job_id[:10]:
        value = _DIGITS.get(digit)
        if value is None:
            return otherwise
        ms = ms << 5 | value
    return ms * 1000 if _EARLIEST <= ms <= _LATEST else otherwise


def schedule_of(job_id: str) -> str | None:
    """The schedule that made the job, by its short name; None: it was enqueued."""
    kind, separator, rest = job_id.partition("-")
    if not separator or kind not in _TICKS:
        return None
    parts = rest.rsplit("-", _TICKS[kind])
    return parts[0] if len(parts) == _TICKS[kind] + 1 and parts[0] else None
