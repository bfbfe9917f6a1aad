"""Become another program that dies with the process that asked for it, however that process dies.

Run as a script, ``python -I -S launch.py PARENT_PID PROGRAM ARGUMENT...``, so that nothing but the standard library is
imported and the parent, which has threads, needs no code between fork and exec. Linux only: elsewhere there is no
parent-death signal, and `command` gives the program as it is.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_SIGKILL = 9  # the one signal that a stuck server cannot ignore; a process crash loses nothing acknowledged


def command(program: Sequence[str], *, parent: str | None = None) -> list[str]:
    """`program` (path and arguments), wrapped so that it dies with the calling *thread*.

    The kernel ties the signal to the thread that starts the program: call it where that thread lives as long as the
    process, which is the main thread.

    Args:
        program: path and arguments.
        parent: process id of who will start it; default this process.
    """
    if sys.platform != "linux" or not sys.executable:
        return list(program)
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), parent or str(os.getpid()), *program]  # noqa: PTH100 - no pathlib: this is a start-up path


def main(arguments: Sequence[str]) -> None:
    """Ask for the signal, then become the program. Does not return."""
    import ctypes

    parent, program = int(arguments[0]), list(arguments[1:])
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before we asked: nobody would ever tell us
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606 - becoming that program is what this file is for


if __name__ == "__main__":
    main(sys.argv[1:])
