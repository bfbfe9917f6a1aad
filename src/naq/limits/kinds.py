"""The kinds of entries that limits are kept in (`naq.backends.base.Entries`)."""

from __future__ import annotations

from typing import Final

RATES: Final = "rate"  # buckets, by task and key
GROUPS: Final = "group"  # permits, by group and key
UNIQUE: Final = "unique"  # the job that has a key for a time, by queue and key
