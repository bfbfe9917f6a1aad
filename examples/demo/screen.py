"""What the demo prints: a line for each thing that happens, and a table at the end. Plain text where it is piped."""

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from naq import JobRecord, JobState

PLAIN_WIDTH = 120  # columns where no terminal says how wide it is
COLORS = {
    JobState.SCHEDULED: "magenta",
    JobState.QUEUED: "blue",
    JobState.RUNNING: "cyan",
    JobState.RETRYING: "yellow",
    JobState.SUCCEEDED: "green",
    JobState.FAILED: "red",
}


class Screen:
    """Prints to stdout; seconds count from its making."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = PLAIN_WIDTH
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return time.monotonic() - self._began

    def title(self, text: str) -> None:
        """Print a heading."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def say(self, who: str, text: str) -> None:
        """Print what somebody who is no job does."""
        self._line(who, f"[dim]{escape(text)}[/dim]")

    def moved(self, name: str, record: JobRecord, tries: int, text: str = "") -> None:
        """Print that a job is in another state now, and `text` or what its record has to say about it."""
        more = text or describe(record, tries)
        state = f"{record.state:<10} " if more else str(record.state)
        self._line(name, f"[{COLORS.get(record.state, 'white')}]{state}[/]{escape(more)}")

    def problem(self, text: str) -> None:
        """Print what went wrong."""
        self._console.print(f"[red]{escape(text)}[/red]", soft_wrap=True)

    def plain(self, text: str) -> None:
        """Print lines of somebody else's, as they are."""
        self._console.print(text, markup=False, soft_wrap=True)

    def table(self, rows: Sequence[tuple[str, str, JobRecord, str]]) -> None:
        """Print a row for each job: its name, what it shows, its final record, what is wrong (or nothing)."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
        for heading in ("job", "what it shows", "ended", "attempts", "as expected"):
            table.add_column(heading, overflow="fold")
        for name, about, record, wrong in rows:
            ended = f"[{COLORS.get(record.state, 'white')}]{record.state}[/]"
            verdict = f"[red]no: {escape(wrong)}[/red]" if wrong else "[green]yes[/green]"
            table.add_row(f"[bold]{name}[/bold]", escape(about), ended, str(record.attempt), verdict)
        self._console.print()
        self._console.print(table)

    def _line(self, who: str, text: str) -> None:
        self._console.print(f"[dim]{self.seconds:6.2f} s[/dim]  [bold]{who:<8}[/bold] {text}", soft_wrap=True)


def describe(record: JobRecord, tries: int) -> str:
    """What there is to say of a job in the state that `record` has."""
    error = record.error
    what = f"{error.type.rpartition('.')[2]}: {error.message}" if error else ""
    match record.state:
        case JobState.RUNNING if tries > 1:
            return f"attempt {record.attempt} of {tries}"
        case JobState.RETRYING:
            return f"{what} (again in {max(record.run_at - time.time(), 0.0):.1f} s)"
        case JobState.FAILED:
            return what
        case _:
            return ""
