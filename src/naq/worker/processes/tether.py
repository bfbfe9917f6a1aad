"""The ties of a process to the one that started it: it hears when that ends, and ends as well.

Two of them. The kernel's parent-death signal (Linux) works whatever this process is doing, but is tied to the *thread*
that started it. The end of the socket it was given as standard input works everywhere, as soon as a thread can run.
"""

from __future__ import annotations

import os
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>


def take_link() -> socket.socket:
    """The socket that this process got as its standard input; whoever reads that from now on finds it empty."""
    link = socket.socket(fileno=os.dup(0))
    empty = os.open(os.devnull, os.O_RDONLY)
    os.dup2(empty, 0)
    os.close(empty)
    return link


def die_with(parent: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Get signal `number` when process `parent` dies. If it has died already, end here and now."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
