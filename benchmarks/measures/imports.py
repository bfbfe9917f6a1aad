"""What naq adds to the start of a bare Python."""

from __future__ import annotations

import subprocess
import time

from benchmarks.measure import Row, median, rounds, summary
from benchmarks.process import OWN, ROOT

REPEATS = 15  # starts of each kind a round, alternating
APP = "from naq import Naq; app = Naq('bench'); app.task(name='job')(lambda: None)"


def started(statement: str) -> float:
    """Milliseconds from the start of a Python that runs `statement` to its end."""
    start = time.perf_counter()
    subprocess.run([OWN / "python", "-c", statement], check=True, cwd=ROOT)
    return (time.perf_counter() - start) * 1000


def imports(count: int) -> list[Row]:
    """One row: a bare Python, what `import naq` adds, and what a first app and task add; compiled files are warm."""
    started(APP)

    def once() -> Row:
        taken = [(started("pass"), started("import naq"), started(APP)) for _ in range(REPEATS)]
        bare, imported, used = (median(column) for column in zip(*taken, strict=True))
        return {"bare_ms": bare, "import_ms": imported - bare, "app_ms": used - bare}

    return [summary("import", "naq", rounds(count, once, "import"), "bare_ms", "import_ms", "app_ms")]
