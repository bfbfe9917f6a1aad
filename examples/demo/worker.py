"""The worker of the demo: a process of its own, which ends with the demo whatever happens."""

import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from naq.backends.nats.broker.launch import command

STOP_TIMEOUT = 10.0  # seconds it gets to end by itself


class WorkerProcess:
    """``naq worker shop:app`` as a process, from `start` to the end of the with block."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def start(self) -> int:
        """Start it; its process id."""
        program = [sys.executable, "-m", "naq", "worker", "shop:app", "--log-format", "text"]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command(program),  # on Linux it dies with us even if we are killed
                cwd=Path(__file__).parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then stops the worker in order
            )
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it is gone although nobody stopped it."""
        return self._process is not None and self._process.poll() is not None

    def tail(self, lines: int = 15) -> str:
        """The end of what it printed."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End it in order, by force if it does not."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT)
        finally:
            self._process.kill()
            self._process.wait()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
