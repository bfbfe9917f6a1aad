"""A worker process's side of having a supervisor: saying how it is, and not outliving it."""

from __future__ import annotations

import asyncio
import logging
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from naq import clock
from naq.worker.processes.tether import die_with, take_link
from naq.worker.supervisor.status import LOOK, SPEAK, VARIABLE, Status, line

if TYPE_CHECKING:
    from naq.worker.worker import Worker

log = logging.getLogger("naq.worker")

#: Seconds that a worker gets to put its jobs back once its supervisor has gone. Fault 20 allows 5.
ORPHANED: Final = 3.5
#: Seconds between two looks at oneself as long as one is not ready: somebody waits for that.
STARTING_LOOK: Final = 0.05
#: Its exit code when even that did not work.
GONE: Final = 75


def join() -> socket.socket | None:
    """The link to the supervisor of this process, or None if it has none. At the start of the process, once."""
    parent = os.environ.pop(VARIABLE, "")  # not for the processes that this one starts
    if not parent:
        return None
    link = take_link()
    die_with(int(parent), signal.SIGTERM)
    return link


class Membership:
    """A thread that talks to the supervisor over `link`, about `worker`, which runs on `loop`."""

    def __init__(self, link: socket.socket, worker: Worker, loop: asyncio.AbstractEventLoop) -> None:
        self._link = link
        self._worker = worker
        self._loop = loop
        self._speaking = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="naq-membership", daemon=True)

    def start(self) -> None:
        """Begin. It ends with the process."""
        self._worker.vitals.when_dismissed = self._say_so
        self._thread.start()

    def _run(self) -> None:
        told: tuple[object, ...] = ()
        told_at = 0.0
        while True:
            report = self._worker.vitals.report()
            vitals = self._worker.vitals
            now = clock.monotonic()
            news = (report.live, report.ready, report.detail, vitals.retiring)
            if news != told or now - told_at >= SPEAK:
                told, told_at = news, now
                status = Status(report, vitals.retiring, vitals.dismissed, vitals.numbers())
                try:
                    with self._speaking:
                        self._link.sendall(line(status))
                except OSError:
                    break
            if select.select([self._link], [], [], LOOK if report.ready else STARTING_LOOK)[0]:
                break  # it never says anything: it has gone
        self._orphaned()

    def _say_so(self) -> None:
        """Tell the supervisor that this worker was told to go: before it can have ended, or it would be replaced."""
        vitals = self._worker.vitals
        with suppress(OSError), self._speaking:  # a supervisor that has gone replaces nobody
            self._link.sendall(line(Status(vitals.report(), vitals.retiring, vitals.dismissed)))

    def _orphaned(self) -> None:
        log.warning("the supervisor has gone: stopping now")
        for _ in range(2):
            try:
                self._loop.call_soon_threadsafe(self._worker.stop)
            except RuntimeError:  # the loop has ended, and the process is about to
                break
        time.sleep(ORPHANED)
        os._exit(GONE)
