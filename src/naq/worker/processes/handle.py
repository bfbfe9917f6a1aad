"""One child process, as its worker sees it."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from naq.backends.stacks import Frame
from naq.context import Context, notes_of
from naq.worker.processes.errors import NoChild
from naq.worker.processes.messages import (
    Began,
    Cancel,
    Ended,
    Frames,
    Look,
    Missing,
    Noted,
    Ready,
    Run,
    Said,
    Seen,
    Setup,
    ToWorker,
    Unusable,
    frame,
    to_worker,
)
from naq.worker.processes.saying import say
from naq.worker.processes.spawn import Spawned, spawn

log = logging.getLogger("naq.worker")

COMMAND: Final = (sys.executable, "-m", "naq.worker.processes.child")
#: Seconds a child may take to import its tasks.
START: Final = 60.0


class Died(Exception):
    """The child ended while it had a job. `began` is whether it had started it, `how` is how it ended, in words."""

    def __init__(self, how: str, *, began: bool) -> None:
        super().__init__(how)
        self.how = how
        self.began = began


class Child:
    """A child process that runs one job at a time.

    Attributes:
        jobs: how many it has been given.
        process: the process; None until it was started.
    """

    def __init__(self, on_exit: Callable[[Child], None]) -> None:
        self.jobs = 0
        self.process: Spawned | None = None
        self._on_exit = on_exit
        self._frames = Frames()
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._job: asyncio.Future[Ended] | None = None
        self._job_id = ""
        self._context: Context | None = None
        self._began = False
        self._gone = False
        self._killer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Future[list[Frame]] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether it lives and has no job."""
        return self._job is None and not self._gone and self._ready.done()

    @property
    def is_busy(self) -> bool:
        """Whether it has a job."""
        return self._job is not None

    async def start(self, setup: Setup) -> None:
        """Start the process and wait until it has imported its tasks.

        Raises:
            NoChild: it ended instead, or took too long; says why.
        """
        try:
            self.process = await spawn(COMMAND, on_data=self._heard, on_exit=self._exited)
        except OSError as error:
            raise NoChild(f"no child process can be started: {error}") from error
        self.process.send(frame(setup))
        try:
            async with asyncio.timeout(START):
                await self._ready
        except TimeoutError as error:
            raise NoChild(f"a child process did not import its tasks within {START:g} s") from error
        finally:
            if not self._ready.done() or self._ready.cancelled() or self._ready.exception() is not None:
                self.process.kill()

    def give(self, job: Run) -> asyncio.Future[Ended]:
        """Have it run `job`. It must be idle.

        The future raises `Died` if it ends before the job does, and `NoChild` if it does not know the task.
        """
        assert self.is_idle
        assert self.process is not None
        self.jobs += 1
        self._began = False
        self._job_id = job.context.job_id
        self._context = job.context
        self._job = asyncio.get_running_loop().create_future()
        self.process.send(frame(job))
        return self._job

    def cancel(self, *, grace: float) -> None:
        """Tell the job to end, and kill the child if it has not after `grace` seconds."""
        if self._job is not None and self._killer is None and self.process is not None:
            self.process.send(frame(Cancel(self._job_id)))
            self._killer = asyncio.get_running_loop().call_later(grace, self.kill)

    def look(self) -> asyncio.Future[list[Frame]]:
        """Ask it where its job is; one that hangs never answers."""
        looking = self._looking
        if looking is None or looking.done():
            self._looking = looking = asyncio.get_running_loop().create_future()
            assert self.process is not None
            self.process.send(frame(Look()))
        return looking

    def kill(self) -> None:
        """End it, and what it has started, now."""
        if self.process is not None:
            self.process.kill()

    def dismiss(self) -> None:
        """Let it end by itself."""
        if self.process is not None:
            self.process.hang_up()

    def _heard(self, data: bytes) -> None:
        try:
            for message in self._frames.feed(data, to_worker):
                self._take(message)
        except (ValueError, msgspec.DecodeError) as error:
            log.warning("child process %d talks nonsense (%s) and is killed", self._pid, error)
            self.kill()

    def _take(self, message: ToWorker) -> None:
        match message:
            case Began():
                self._began = True
            case Ended():
                if (job := self._done()) is not None:
                    job.set_result(message)
            case Said():
                say(message, self._pid)
            case Noted():
                self._note(message)
            case Seen(frames):
                if self._looking is not None and not self._looking.done():
                    self._looking.set_result(frames)
            case Missing(reason):
                if (job := self._done()) is not None:
                    job.set_exception(NoChild(reason))
            case Ready() | Unusable():
                self._came_up(message)

    def _came_up(self, message: Ready | Unusable) -> None:
        if self._ready.done():
            return
        if isinstance(message, Ready):
            self._ready.set_result(None)
        else:
            self._ready.set_exception(NoChild(message.reason))

    def _note(self, noted: Noted) -> None:
        """Pass on what the job's code has reported."""
        if self._context is None:
            return
        notes = notes_of(self._context)
        if noted.line is not None:
            notes.line(noted.line)
        elif noted.metric:
            notes.metric(noted.metric, noted.value or 0.0)
        else:
            notes.progress(noted.value, noted.message)

    def _exited(self) -> None:
        self._gone = True
        how = describe_exit(self.process.code if self.process is not None else None)
        if (job := self._done()) is not None:
            job.set_exception(Died(how, began=self._began))
        if not self._ready.done():
            self._ready.set_exception(NoChild(f"a child process ended before it was ready: {how}"))
        self._on_exit(self)

    def _done(self) -> asyncio.Future[Ended] | None:
        """The job's future, if anybody waits for it; the child has no job any more."""
        if self._killer is not None:
            self._killer.cancel()
            self._killer = None
        job, self._job, self._context = self._job, None, None
        return None if job is None or job.done() else job

    @property
    def _pid(self) -> int:
        return 0 if self.process is None else self.process.pid


def describe_exit(code: int | None) -> str:
    """An exit code, in words."""
    if code is None:
        return "it was never started"
    if code >= 0:
        return f"it exited with code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"it was killed by {name}" + (" (out of memory, perhaps)" if name == "SIGKILL" else "")
