"""Where a command's log goes: stderr, and all of it."""

from __future__ import annotations

import logging

from naq.logs import Format, check_level, handler

__all__ = ["Format", "set_up"]


def set_up(level: str, form: Format | None) -> Format:
    """Send the log to stderr from `level` on, as `form` (default: text for a terminal, else JSON); what was chosen.

    Raises:
        ConfigurationError: there is no such level.
    """
    threshold = check_level("--log-level", level)
    writer, chosen = handler(form)
    root = logging.getLogger()
    root.handlers[:] = [writer]
    root.setLevel(threshold)
    return chosen
