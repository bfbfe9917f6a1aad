"""What a job's id tells: when it was made, which schedule made it. Pure."""

from __future__ import annotations

from typing import Final

# Crockford's digits as those that `int` reads; whatever else a job id may hold becomes one that it does not.
_CROCKFORD, _READ = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ", b"0123456789abcdefghijklmnopqrstuv"
_DIGITS: Final = bytes(_READ[_CROCKFORD.index(code)] if code in _CROCKFORD else 33 for code in range(256))
_EARLIEST, _LATEST = 1_500_000_000_000, 253_402_300_799_000  # milliseconds: what else could be a ULID by chance
_TICKS: Final = {"cron": 2, "back": 1}  # what follows the name of the schedule, in parts


def made_at(job_id: str, otherwise: int) -> int:
    """When `job_id` was made, in microseconds, where it is a ULID; `otherwise` where it is not."""
    if len(job_id) != 26:
        return otherwise
    try:
        ms = int(job_id[:10].encode("ascii", "replace").translate(_DIGITS), 32)
    except ValueError:
        return otherwise
    return ms * 1000 if _EARLIEST <= ms <= _LATEST else otherwise


def schedule_of(job_id: str) -> str | None:
    """The schedule that made the job, by its short name; None: it was enqueued."""
    kind, separator, rest = job_id.partition("-")
    if not separator or kind not in _TICKS:
        return None
    parts = rest.rsplit("-", _TICKS[kind])
    return parts[0] if len(parts) == _TICKS[kind] + 1 and parts[0] else None
