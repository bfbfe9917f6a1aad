"""How much memory a process holds, and a bound for it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

MIB: Final = 1024 * 1024
_RSS, _DATA = 1, 5  # fields of /proc/<pid>/statm, in pages


def rss(pid: int | None = None) -> int:
    """Bytes of memory that process `pid` (default: this one) holds; 0 where that cannot be told.

    Without /proc only this process can be asked, and tells the most it ever held.
    """
    pages = _statm(pid, _RSS)
    if pages is not None:
        return pages * os.sysconf("SC_PAGE_SIZE")
    if pid is not None:
        return 0
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def limit_memory(more: int) -> bool:
    """Let this process take `more` bytes beyond what it has; the next allocation fails (MemoryError). Linux only.

    Counted is writable memory of its own (RLIMIT_DATA), stacks of threads included, not address space: libraries
    reserve gigabytes of that which they never touch.
    """
    data = _statm(None, _DATA)
    if data is None:
        return False
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = data * os.sysconf("SC_PAGE_SIZE") + more
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
    return True


def _statm(pid: int | None, field: int) -> int | None:
    try:
        return int(Path(f"/proc/{pid or 'self'}/statm").read_bytes().split()[field])
    except OSError:
        return None
