"""A healthy backend, for each mutant to break in one way."""

from __future__ import annotations

from naq.backends.memory import MemoryBackend, connect
from naq.config import Config


class Mutant(MemoryBackend):
    """A memory backend with one fault."""

    @classmethod
    def connect(cls, config: Config) -> Mutant:
        """An instance on the shared store, of this class."""
        healthy = connect(config)
        assert isinstance(healthy, MemoryBackend)
        return cls(config, healthy._store)  # pyright: ignore[reportPrivateUsage]
