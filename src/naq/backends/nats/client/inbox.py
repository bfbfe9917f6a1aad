"""Subjects on which only we are answered."""

from __future__ import annotations

import os


def new_inbox() -> str:
    """A subject that nobody else has: 88 random bits."""
    return f"_INBOX.{os.urandom(11).hex()}"
