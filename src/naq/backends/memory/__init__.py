"""Jobs in the memory of this process: a real backend (threads, leases, time), for tests and for one-process programs.

``memory:NAME`` is one store for every instance of that name and namespace in the process, also across threads and
event loops. It is gone when the process ends, or when `forget` is called.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from naq import clock
from naq.backends.base import Backend
from naq.backends.memory.admin import AdminPart
from naq.backends.memory.entries import EntryPart
from naq.backends.memory.events import EventPart
from naq.backends.memory.flow import FlowPart
from naq.backends.memory.follow import FollowPart
from naq.backends.memory.queue import QueuePart
from naq.backends.memory.registry import RegistryPart
from naq.backends.memory.settle import SettlePart
from naq.backends.memory.store import Store
from naq.config import Config

__all__ = ["MemoryBackend", "connect", "forget", "set_down"]

_stores: Final[dict[tuple[str, str], tuple[Store, Callable[[], None]]]] = {}  # with what ends its watch of the clock
_lock: Final = threading.Lock()


class MemoryBackend(QueuePart, SettlePart, AdminPart, FlowPart, EventPart, FollowPart, RegistryPart, EntryPart):
    """All of the seam over one `Store`."""


def connect(config: Config) -> Backend:
    """A backend on the store that ``config.broker_url`` (``memory:`` or ``memory:NAME``) names; not opened."""
    return MemoryBackend(config, _store(config))


def _store(config: Config) -> Store:
    key = (config.namespace, config.broker_url.partition(":")[2])
    with _lock:
        if key not in _stores:
            store = Store()
            _stores[key] = (store, clock.on_step(store.stepped))
        return _stores[key][0]


def set_down(config: Config, *, down: bool) -> None:
    """Let the store that `config` names be out of reach, as a broker that is down, or in reach again; for tests.

    Calls raise `NaqConnectionError` meanwhile. What waits already goes on waiting, and raises at the end of its time.
    """
    store = _store(config)
    store.down = down
    store.stepped()


def forget(config: Config) -> None:
    """Drop the store that `config` names: the next `connect` begins with an empty one. Open instances keep theirs."""
    key = (config.namespace, config.broker_url.partition(":")[2])
    with _lock:
        if (kept := _stores.pop(key, None)) is not None:
            kept[1]()
