"""What tells the users of a folder about each other: locks, and the pipe that ends with the supervisor."""

from __future__ import annotations

import errno
import os
import select
import time
from pathlib import Path
from typing import Final

from naq.backends.nats.broker.embedded import supervisor
from naq.exceptions import ConfigurationError, NaqConnectionError

_POLL: Final = 0.01  # seconds between looks at a lock or the state, only while somebody else starts or stops the server


def lock(fd: int, *, shared: bool, deadline: float, holder: str) -> None:
    """Take a lock on the open file `fd`; it ends when every copy of `fd` is closed.

    Args:
        fd: an open file.
        shared: with others who ask for it shared, or alone.
        deadline: on the monotonic clock.
        holder: who may have it, for the message.

    Raises:
        NaqConnectionError: somebody holds it past the deadline.
        ConfigurationError: the file system has no locks.
    """
    import fcntl

    while True:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise ConfigurationError(
                    f"the folder of the embedded broker is on a file system without locks ({error.strerror}): "
                    "name a folder on a local disk"
                ) from error
            pause_until(deadline, f"{holder} holds its lock")
        else:
            return


def unlock(fd: int) -> None:
    """Give up the lock on `fd`, also for forked children that share it."""
    import fcntl

    fcntl.flock(fd, fcntl.LOCK_UN)


def pause_until(deadline: float, why: str) -> None:
    """Let a moment pass before the next look, unless the deadline is over: then raise NaqConnectionError with `why`."""
    if time.monotonic() > deadline:
        raise NaqConnectionError(f"the embedded broker was not ready in time: {why}; try again, or end that process")
    time.sleep(_POLL)


def open_alive(home: Path) -> int | None:
    """The read end of the supervisor's pipe; None where no supervisor lives."""
    try:
        fd = os.open(home / supervisor.ALIVE_FIFO, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    if _at_end(fd):
        os.close(fd)
        return None
    return fd


def wait_for_end(alive_fd: int, wake_fd: int) -> bool:
    """Block until the pipe's writer is gone (True) or somebody wakes us (False)."""
    poll = select.poll()
    poll.register(alive_fd, select.POLLIN)
    poll.register(wake_fd, select.POLLIN)
    while True:
        ready = [fd for fd, _ in poll.poll()]
        if wake_fd in ready:
            return False
        if _at_end(alive_fd):
            return True


def _at_end(fd: int) -> bool:
    try:
        return os.read(fd, 1) == b""
    except BlockingIOError:  # somebody holds the write end
        return False
