"""Numbers: a calibration loop beside every round, medians, percentiles, and rows for tables."""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from pathlib import Path
from typing import Any

SPIN_LOOPS = 400_000  # about 20 ms of pure Python: short enough to repeat beside each round
SPIN_REPEATS = 7

Row = dict[str, Any]


def spin() -> float:
    """Seconds that a fixed piece of pure Python takes now (median of a few): how fast this machine is at the moment."""
    taken: list[float] = []
    for _ in range(SPIN_REPEATS):
        start = time.perf_counter()
        total = 0
        for value in range(SPIN_LOOPS):
            total += value & 7
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def rounds(count: int, once: Callable[[], Row], label: str) -> list[Row]:
    """`count` results of `once`, each with `spin`: the mean of the calibration loop before and after it."""
    print(f"{label} ...", file=sys.stderr, flush=True)
    results: list[Row] = []
    before = spin()
    for _ in range(count):
        result = once()
        after = spin()
        results.append({**result, "spin": (before + after) / 2})
        before = after
    return results


def median(values: Iterable[float]) -> float:
    return statistics.median(values)


def percentile(values: Sequence[float], percent: float) -> float:
    """The value below which `percent` of `values` lie (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(1, ceil(len(ordered) * percent / 100)) - 1]


def summary(measure: str, system: str, done: list[Row], *keys: str, **facts: Any) -> Row:
    """One row: the median of each of `keys` over the rounds, and the rounds themselves.

    `calibrated` holds the same medians as they would be if the calibration loop took 20 ms: rates multiplied,
    times (keys that end in _ms, _mb excepted) divided. Compare those between rows of different minutes.
    """
    row: Row = {"measure": measure, "system": system, **facts}
    for key in keys:
        row[key] = median(result[key] for result in done)
    row["spin_ms"] = median(result["spin"] for result in done) * 1000
    row["calibrated"] = {key: median(calibrated(key, result) for result in done) for key in keys}
    row["rounds"] = done
    return row


def calibrated(key: str, result: Row) -> float:
    """`result[key]` scaled to a machine whose calibration loop takes 20 ms."""
    factor = result["spin"] / 0.020
    if key.endswith("_per_s"):
        return result[key] * factor
    return result[key] / factor if key.endswith("_ms") else result[key]


def machine() -> Row:
    """Where and when."""
    model = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "load": os.getloadavg()[0],
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def markdown(rows: Sequence[Row]) -> str:
    """One table a measure: the plain columns of its rows, with the first row's columns first."""
    parts: list[str] = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        chosen = [row for row in rows if row["measure"] == measure]
        columns = list(dict.fromkeys(key for row in chosen for key in row))
        columns = [key for key in columns if key not in {"measure", "rounds", "calibrated"}]
        lines = [columns, ["---"] * len(columns), *([_cell(row.get(key)) for key in columns] for row in chosen)]
        parts.append(f"### {measure}\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def save(path: Path, rows: Sequence[Row]) -> None:
    """Write `rows` and the machine they were measured on, replacing the file at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(path.suffix + ".tmp")
    scratch.write_text(json.dumps({"machine": machine(), "rows": list(rows)}, indent=1) + "\n")
    scratch.replace(path)
