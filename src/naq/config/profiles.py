"""Profiles: named sets of settings in ``pyproject.toml``, one of which ``NAQ_PROFILE`` (or ``naq --profile``) picks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final, cast

from naq.config.suggest import hint
from naq.exceptions import ConfigurationError

VARIABLE: Final = "NAQ_PROFILE"
TABLE: Final = "profiles"


def chosen() -> str | None:
    """The profile that is asked for; None where none is."""
    return os.environ.get(VARIABLE) or None


def settings_of_profile(place: str, table: Mapping[str, object]) -> tuple[str, dict[str, object]]:
    """What the chosen profile sets, and where that stands; `table` is ``[tool.naq]``, and `place` the file it is in.

    Raises:
        ConfigurationError: there is no such profile, or it is no table.
    """
    name = chosen()
    profiles = table.get(TABLE, {})
    if not isinstance(profiles, dict):
        raise ConfigurationError(f"{place}: [tool.naq.profiles] must hold a table for each profile, not {profiles!r}")
    known = cast("dict[str, object]", profiles)
    if name is None:
        return place, {}
    if name not in known:
        raise ConfigurationError(
            f"{VARIABLE} asks for the profile {name!r}, and {place} has no [tool.naq.profiles.{name}]; "
            f"{hint(name, known)}"
        )
    found = known[name]
    if not isinstance(found, dict):
        raise ConfigurationError(f"{place}: profile {name} must be a table of settings, not {found!r}")
    return f"{place} [tool.naq.profiles.{name}]", cast("dict[str, object]", found)
