"""What `import naq` adds to the start of a bare Python."""

from __future__ import annotations

import subprocess
import time

from benchmarks.measure import Row, median, rounds, summary
from benchmarks.process import OWN, ROOT

REPEATS = 15  # starts of each kind a round, alternating


def started(statement: str) -> float:
    """Milliseconds from the start of a Python that runs `statement` to its end."""
    start = time.perf_counter()
    subprocess.run([OWN / "python", "-c", statement], check=True, cwd=ROOT)
    return (time.perf_counter() - start) * 1000


def imports(count: int) -> list[Row]:
    """One row: bare, with naq, and the difference, in milliseconds; compiled files are warm."""
    started("import naq")

    def once() -> Row:
        pairs = [(started("pass"), started("import naq")) for _ in range(REPEATS)]
        bare, full = median(bare for bare, _ in pairs), median(full for _, full in pairs)
        return {"bare_ms": bare, "full_ms": full, "import_ms": full - bare}

    return [summary("import", "naq", rounds(count, once), "bare_ms", "full_ms", "import_ms")]
