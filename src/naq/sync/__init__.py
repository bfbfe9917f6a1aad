"""Calling coroutines from code that has no event loop: one background loop a process, used by every ``..._sync``."""

from naq.sync.bridge import at_stop, refuse_on_loop, run, stop

__all__ = ["at_stop", "refuse_on_loop", "run", "stop"]
