"""python -m benchmarks MEASURE|all|setup|report, with the measures below. See docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from benchmarks import environment, measure, targets
from benchmarks.history.database import DATABASES
from benchmarks.measures.backlog import backlog
from benchmarks.measures.cli import cli
from benchmarks.measures.delays import delays
from benchmarks.measures.drain import drain
from benchmarks.measures.enqueue import enqueue
from benchmarks.measures.history import history
from benchmarks.measures.idle import idle
from benchmarks.measures.imports import imports
from benchmarks.measures.ingest import ingest
from benchmarks.measures.latency import latency
from benchmarks.measures.memory import memory
from benchmarks.measures.outbox import outbox
from benchmarks.measures.sse import sse
from benchmarks.registry import SYSTEMS, System, chosen

JOBS = 20_000  # jobs of a system of scale 1: a drain of seconds for the slower peers
MEMORY_JOBS = 100_000
LARGEST_BACKLOG = 1_000_000
INGESTED = 100_000  # records of the burst after which the history is to be level again
HISTORY = 5_000_000
OUTBOX_JOBS = 10_000
WATCHING = 500  # clients of live events
MARK, END = "<!-- results -->", "<!-- end of results -->"
MEASURES = (
    "enqueue", "drain", "latency", "memory", "backlog", "delays", "idle", "outbox", "import", "cli", "ingest", "sse",
)  # fmt: skip
#: There is nothing to compare them with: they need no peers, and --only names databases.
OURS = ("delays", "outbox", "import", "cli", "ingest", "history", "sse")
LONG = ("history",)  # some ten minutes for each database: not among all


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("command", nargs="?", default="all", choices=[*MEASURES, *LONG, "all", "setup", "report"])
    made.add_argument("--jobs", type=int, help=f"jobs of a system of scale 1 (default {JOBS}); smaller is quicker")
    made.add_argument("--rounds", type=int, default=3, help="rounds of each, of which the median counts (default 3)")
    made.add_argument("--only", default="", help=f"systems, by commas: {','.join(SYSTEMS)}")
    made.add_argument("--json", type=Path, help="file to write the results to; for report: to read them from")
    made.add_argument("--into", type=Path, help="report: the page to put the tables into, between its marks")
    return made


def measures(options: argparse.Namespace, systems: Sequence[System]) -> dict[str, Callable[[], list[measure.Row]]]:
    """What each command runs."""
    jobs, count = options.jobs or JOBS, options.rounds
    queues = [system for system in systems if not system.name.startswith("raw")]
    growing = (
        [system for system in systems if system.name in {"naq", "raw", "pgqueuer"}] if not options.only else systems
    )
    return {
        "enqueue": lambda: enqueue(systems, jobs, count),
        "drain": lambda: drain(systems, jobs, count),
        "latency": lambda: latency(systems, count),
        "memory": lambda: memory(queues, options.jobs or MEMORY_JOBS),
        "backlog": lambda: backlog(growing, options.jobs or LARGEST_BACKLOG, count),
        "delays": lambda: delays(options.jobs or LARGEST_BACKLOG, 1),
        "idle": lambda: idle(queues, count),
        "import": lambda: imports(count),
        "ingest": lambda: ingest(databases(options), options.jobs or INGESTED, count),
        "history": lambda: history(databases(options), options.jobs or HISTORY),
        "outbox": lambda: outbox(options.jobs or OUTBOX_JOBS, count),
        "sse": lambda: sse(databases(options), options.jobs or WATCHING),
        "cli": lambda: cli(count),
    }


def databases(options: argparse.Namespace) -> list[str]:
    """The databases among what --only names."""
    return [name for name in options.only.split(",") if name in DATABASES]


def report(results: Path, into: Path | None) -> None:
    """The tables of `results`, on stdout or between the marks of a page."""
    found = json.loads(results.read_text())
    facts = ", ".join(f"{name} {value}" for name, value in found["machine"].items())
    text = f"Measured on: {facts}.\n\n{targets.table(found['rows'])}\n{measure.markdown(found['rows'])}"
    if into is None:
        print(text)
        return
    before, _, rest = into.read_text().partition(MARK)
    after = rest.partition(END)[2]
    into.write_text(f"{before}{MARK}\n\n{text}\n{END}{after}")


def stop(_number: int, _frame: object) -> NoReturn:
    """Unwind, so that everything started is stopped."""
    raise KeyboardInterrupt


def main() -> int:
    options = parser().parse_args()
    if options.command == "setup":
        environment.make()
        return 0
    if options.command == "report":
        report(options.json, options.into)
        return 0
    named = [name for name in options.only.split(",") if name and name not in DATABASES]
    systems = [] if options.command in OURS else chosen(named)
    environment.require(peers=any(not system.own for system in systems))
    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)  # also where a shell started us in the background, with SIGINT ignored
    commands = measures(options, systems)
    rows: list[measure.Row] = []
    try:
        with environment.alone():
            for name in MEASURES if options.command == "all" else [options.command]:
                found = commands[name]()
                rows += found
                print(measure.markdown(found), flush=True)
                if options.json:
                    measure.save(options.json, rows)
            print(targets.table(rows))
    except KeyboardInterrupt:
        print("stopped; everything that was started is stopped too", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
