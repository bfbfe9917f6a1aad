"""Events that workers left in files when they ended, in the hands of whoever finds them first."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from naq.worker.buffer.spill import SUFFIX, Spill

log = logging.getLogger("naq.worker")


class Orphans:
    """The files of events in `folder` that no process has, but for `own`. `most` is the bytes of one at most."""

    def __init__(self, folder: Path, most: int, own: Path) -> None:
        self._folder: Final = folder
        self._most = most
        self._passed_by = {own}  # those that are not to be read, ever

    def find(self) -> list[Spill]:
        """All of them, oldest first; ours from here on: whoever calls this closes them. For any one thread."""
        return [
            spill
            for path in sorted(self._folder.glob(f"*{SUFFIX}"), key=_changed)
            if path not in self._passed_by and (spill := self._get(path)) is not None
        ]

    def _get(self, path: Path) -> Spill | None:
        try:
            spill = Spill(path, self._most)
        except BlockingIOError:
            return None  # its worker lives, or another has found it
        except OSError as error:
            self._passed_by.add(path)
            log.warning("events that a worker left in %s cannot be read: %s; they stay there", path, error)
            return None
        if spill.is_gone:  # somebody has written what was in it, between our opening it and our locking it
            spill.close()
            return None
        return spill


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # somebody has it written meanwhile
        return 0.0
