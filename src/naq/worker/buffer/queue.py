"""The queue of events: in memory, and while the broker does not take them, in a file, where a folder is given."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from naq.backends.base import Event
from naq.config import Config
from naq.exceptions import ConfigurationError
from naq.worker.buffer.held import Held, cost
from naq.worker.buffer.orphans import Orphans
from naq.worker.buffer.spill import SUFFIX, Spill
from naq.worker.throttle import Throttle

log = logging.getLogger("naq.worker")

#: Bytes that go into the file at once.
AT_ONCE: Final = 262_144


class Queue:
    """First in, first out, within the bounds that `config` sets. `worker` is whose it is: the file has its name.

    Raises:
        ConfigurationError: the folder of the file cannot be used.
    """

    def __init__(self, config: Config, worker: str) -> None:
        self.blocks: Final = config.event_overflow == "block"
        self.held: Final = Held(config.event_buffer, drops=not self.blocks)
        self._taken: list[Event] = []
        self._taken_from_file = False
        self._most = config.event_spill_bytes
        self._path: Path | None = None
        self._orphans: Orphans | None = None
        if config.event_overflow == "spill":
            folder = _prepared(config)
            self._path = folder / f"{worker}{SUFFIX}"
            self._orphans = Orphans(folder, self._most, self._path)
        self._spill: Spill | None = None
        self._throttle = Throttle()

    def __len__(self) -> int:
        return len(self.held) + (0 if self._spill is None else len(self._spill))

    @property
    def spills(self) -> bool:
        """Whether it has a file, or would make one."""
        return self._path is not None

    @property
    def spilled(self) -> int:
        """Bytes of its file."""
        return 0 if self._spill is None or not len(self._spill) else self._spill.size

    @property
    def capacity(self) -> int:
        """Bytes there is room for, in memory and in the file."""
        return self.held.capacity + (self._most if self.spills else 0)

    @property
    def size(self) -> int:
        """Bytes in memory and in the file."""
        return self.held.size + self.spilled

    @property
    def dropped(self) -> Mapping[str, int]:
        """Events dropped so far, by kind."""
        return self.held.dropped

    def add(self, event: Event) -> None:
        """Take `event` in, behind all others."""
        if self.spills and self.held.size + cost(event) > self.held.capacity:
            self.shelter()
        self.held.add(event)

    def take(self, most: int) -> list[Event]:
        """The oldest, at most `most` bytes of them, but one in any case; until `settle`, nothing more can be taken."""
        if self._spill is not None and len(self._spill):
            self.shelter()
            self._taken, self._taken_from_file = self._spill.peek(most), True
        else:
            self._taken, self._taken_from_file = self.held.take(most), False
        return self._taken

    def settle(self, count: int) -> None:
        """Of what was taken, the first `count` are written; the rest are the oldest again."""
        if not self._taken_from_file:
            self.held.settle(count)
        elif count:
            assert self._spill is not None
            self._spill.drop(count)
        self._taken = []

    def shelter(self) -> None:
        """Put what is held in memory into the file, what is taken at its head, as far as there is room."""
        if self._path is None or not len(self.held):
            return
        try:
            if self._spill is None:
                self._spill = Spill(self._path, self._most)
            if self._taken and not self._taken_from_file:
                if not self._spill.add(self._taken):
                    return
                self.held.settle(len(self._taken))
                self._taken_from_file = True
            while batch := self.held.take(AT_ONCE):
                kept = False
                try:
                    kept = self._spill.add(batch)
                finally:
                    self.held.settle(len(batch) if kept else 0)
                if not kept:
                    return
        except OSError as error:
            if self._throttle.ready("spill"):
                log.warning("events cannot be kept in %s: %s; they stay in memory", self._path, error)

    def orphans(self) -> list[Spill]:
        """What other workers left in the folder; see `Orphans.find`."""
        return [] if self._orphans is None else self._orphans.find()

    def close(self) -> None:
        """Keep what is left in the file, where there is one, for the next worker."""
        self.shelter()
        if self._spill is not None:
            self._spill.close()
            self._spill = None


def _prepared(config: Config) -> Path:
    folder = Path(config.event_spill_dir).expanduser().absolute() / config.namespace
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with Spill(folder / f"try{SUFFIX}", config.event_spill_bytes):
            pass
    except BlockingIOError:  # another worker tries as well
        return folder
    except OSError as error:
        raise ConfigurationError(f"event_spill_dir {config.event_spill_dir!r} cannot be used: {error}") from error
    return folder
