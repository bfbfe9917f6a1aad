"""Who runs ``naq dev`` in a folder: one at a time, and everybody may know who (`naq.config.running` reads it)."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from naq.config.running import FILE, FOLDER, Running, read_holder
from naq.exceptions import ConfigurationError

#: Seconds for which to try: somebody who reads who holds the folder keeps it for microseconds, one who ends, for a few
#: milliseconds.
_PATIENCE: Final = 0.5
_POLL: Final = 0.02  # seconds between two tries
_TEXT: Final = "*\n"


class HeldError(ConfigurationError):
    """Somebody else runs ``naq dev`` in this folder.

    Attributes:
        holder: who; None if that cannot be read, as in the moment of a start.
    """

    def __init__(self, folder: Path, holder: Running | None) -> None:
        self.holder = holder
        who = "" if holder is None else f" (process {holder.pid}, app {holder.app}, broker {holder.url or 'starting'})"
        super().__init__(
            f"naq dev runs in {folder} already{who}. What you start in this folder uses it, such as naq jobs list; "
            "naq dev alone joins it; end it with q or Ctrl-C in its terminal to start another"
        )


class Hold:
    """The hold on `folder`, from its making to `close`, or to the end of the process, however it ends.

    Raises:
        HeldError: somebody else has it.
        ConfigurationError: this system has no locks.
    """

    def __init__(self, folder: Path, app: str) -> None:
        if sys.platform == "win32":
            raise ConfigurationError("naq dev needs file locks and signals that Windows lacks: use WSL, or a container")
        import fcntl

        self.app = app
        home = folder / FOLDER
        if not home.exists():
            home.mkdir()
            (home / ".gitignore").write_text(_TEXT, encoding="utf-8")
        self._fd = os.open(home / FILE, os.O_RDWR | os.O_CREAT, 0o600)
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(self._fd)
                    raise HeldError(folder, read_holder(home / FILE)) from None
                time.sleep(_POLL)
        self.tell("")

    def tell(self, url: str, server: str = "") -> None:
        """Let others know where the broker and the server are; "" as long as there is none."""
        said = {"pid": os.getpid(), "app": self.app, "url": url, "server": server, "started_at": time.time()}
        data = json.dumps(said).encode()
        os.pwrite(self._fd, data, 0)
        os.ftruncate(self._fd, len(data))

    def close(self) -> None:
        """Give it up."""
        self.tell("")
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def ignore_in_git(folder: Path) -> bool:
    """Have git ignore ``.naq/`` where `folder` is a repository; whether its .gitignore had to be changed."""
    if not (folder / ".git").exists():
        return False
    file = folder / ".gitignore"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    if {line.strip().strip("/") for line in text.splitlines()} & {FOLDER, f"**/{FOLDER}"}:
        return False
    gap = "" if not text or text.endswith("\n") else "\n"
    file.write_text(f"{text}{gap}{FOLDER}/\n", encoding="utf-8")
    return True
