"""The program of a child process: ``python -m naq.worker.processes.child``, with a socket as its standard input.

The main thread runs the jobs, one at a time. A second one listens, so that a cancellation is heard while a job runs,
and so that the child ends when its worker does.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Final

from naq.exceptions import ConfigurationError
from naq.inside import joblog
from naq.worker.processes.limits import limit_memory
from naq.worker.processes.messages import (
    Cancel,
    Frames,
    Look,
    Ready,
    Run,
    Seen,
    Setup,
    ToChild,
    ToWorker,
    Unusable,
    frame,
    to_child,
)
from naq.worker.processes.running import Running
from naq.worker.processes.saying import LinkHandler
from naq.worker.processes.source import Finder
from naq.worker.processes.tether import die_with, take_link

_READ: Final = 65536
#: Seconds that this process gets to end by itself once its worker has hung up: `atexit` functions, threads of tasks.
FAREWELL: Final = 2.0
#: Exit codes, for those who look at process lists.
GONE, NOT_USABLE = 75, 78


class Link:
    """The worker, as seen from here. Several threads may send."""

    def __init__(self, link: socket.socket) -> None:
        self._socket = link
        self._lock = threading.Lock()

    def send(self, message: ToWorker) -> None:
        """Tell the worker."""
        data = frame(message)
        with self._lock:
            self._socket.sendall(data)

    def messages(self) -> Iterator[ToChild]:
        """What the worker says, until it hangs up."""
        frames = Frames()
        try:
            while data := self._socket.recv(_READ):
                yield from frames.feed(data, to_child)
        except ConnectionError:  # it died with something of ours unread
            return


def main() -> int:
    """Run jobs until the worker hangs up; the exit code."""
    link = Link(take_link())
    messages = link.messages()
    setup = next(messages, None)
    if not isinstance(setup, Setup):
        return GONE
    die_with(setup.parent)
    sys.path[:] = setup.path
    _log_to(link, setup.levels)
    try:
        finder = Finder(setup.source)
    except ConfigurationError as error:
        link.send(Unusable(str(error)))
        return NOT_USABLE
    if setup.memory and not limit_memory(setup.memory):
        logging.getLogger("naq.worker").warning("child_memory is not enforced: this system has no /proc")
    running = Running(finder, link.send, max_result=setup.max_result)
    jobs: SimpleQueue[Run | None] = SimpleQueue()
    threading.Thread(target=_listen, args=(link, messages, jobs, running), name="naq-link", daemon=True).start()
    link.send(Ready())
    while (job := jobs.get()) is not None:
        running.run(job)
        del job  # or an idle child would keep the last job's arguments
    return 0


def _listen(link: Link, messages: Iterator[ToChild], jobs: SimpleQueue[Run | None], running: Running) -> None:
    for message in messages:
        if isinstance(message, Run):
            jobs.put(message)
        elif isinstance(message, Cancel):
            running.cancel(message.job_id)
        elif isinstance(message, Look):
            link.send(Seen(running.look()))
    if running.busy:  # the worker has gone, and the job with it: whatever it does now is done by another, too
        os._exit(GONE)
    jobs.put(None)
    time.sleep(FAREWELL)
    os._exit(GONE)


def _log_to(link: Link, levels: dict[str, int]) -> None:
    """Send the log to the worker, filtered as the worker would."""
    root = logging.getLogger()
    root.handlers[:] = [LinkHandler(link.send)]
    joblog.install()
    for name, level in levels.items():
        logging.getLogger(name or None).setLevel(level)


if __name__ == "__main__":
    sys.exit(main())
