"""Starting, breaking and ending processes; none is left behind, whatever happens."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parents[1]  # where the package `rig` lies


class Process:
    """A Python process of ours.

    Attributes:
        log: its operation log.
        output: what it printed.
        mark: the file that an armed fault creates when it strikes.
    """

    def __init__(self, module: str, args: tuple[str, ...], folder: Path, name: str, env: dict[str, str]) -> None:
        self.name = name
        self.log = folder / f"{name}.jsonl"
        self.output = folder / f"{name}.out"
        self.mark = folder / f"{name}.struck"
        variables = {key: value for key, value in os.environ.items() if not key.startswith("NAQ_")}
        env = {key: value.replace("{mark}", str(self.mark)) for key, value in env.items()}
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *args],
                cwd=HERE,
                env={**variables, "RIG_LOG": str(self.log), **env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that a Ctrl-C at the tests is not theirs
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """How it ended; None while it lives."""
        return self._process.poll()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self) -> None:
        """End it by force, whatever state it is in."""
        if self.code is None:
            self._process.kill()
        self._process.wait(10)

    def printed(self) -> str:
        return self.output.read_text(errors="replace")
