"""Chance of naq's own, for jitter: what our threads draw changes nothing of what `random.seed` promises a program."""

from __future__ import annotations

import os
import random
from typing import Final

CHANCE: Final = random.Random()
"""For nothing that must be secret."""

if hasattr(os, "register_at_fork"):  # not on Windows; as `random` does it for its own
    os.register_at_fork(after_in_child=CHANCE.seed)
