"""What a worker says and counts about the jobs it runs."""

from __future__ import annotations

import logging
from typing import Any

from naq import clock
from naq.backends.base import Settled
from naq.codec.headers import trace_id
from naq.job import JobState
from naq.worker.flights import Flight, Flights
from naq.worker.journal import Journal
from naq.worker.lines import FORM, Line, Lines, span
from naq.worker.outcome import Discarded, Outcome, Rejected, Released, Retried, Succeeded

log = logging.getLogger("naq.worker.jobs")


class Report:
    """Log lines (INFO, one when a job begins and one when it ends), counters, and what the journal gets."""

    def __init__(self, flights: Flights, journal: Journal) -> None:
        self._flights = flights
        self._tally = flights.tally
        self._journal = journal
        self._lines = Lines(log)

    def begins(self, flight: Flight) -> None:
        """The task's code is about to be called."""
        flight.started_at = started = clock.now()
        flight.begun_at = clock.monotonic()
        self._journal.begins()
        job = flight.claim.job
        since = job.run_at or (0.0 if flight.envelope is None else flight.envelope.at)
        waited = started - since if since else None
        if waited is not None:
            self._tally.of(flight.name, job.queue).waited.add(waited)
        if log.isEnabledFor(logging.INFO):
            last = 1 if flight.policy is None else flight.policy.max_attempts
            trace = _trace(flight)
            self._lines.say(Line("started", flight.name, job.id, job.queue, job.attempt, last, waited, trace=trace))

    def ended(self, flight: Flight, outcome: Outcome, settled: Settled) -> None:
        """The backend knows how it ended."""
        self._flights.processed += 1
        job = flight.claim.job
        took = flight.ended_at - flight.begun_at if flight.begun_at else None
        if type(outcome) is Succeeded:
            end = "succeeded"
            if settled is Settled.DONE and log.isEnabledFor(logging.INFO):
                ran = round(took or 0.0, 6)
                trace = _trace(flight)
                self._lines.say(Line(end, flight.name, job.id, job.queue, job.attempt, seconds=ran, trace=trace))
        else:
            end = self._ended_otherwise(flight, outcome)
        if settled is Settled.SUPERSEDED:
            # Rare, and somebody's duplicate execution or a cancellation that came first: worth a line each.
            log.warning("job %s had a final record already; ours (%s) was dropped", job.id, outcome)
            end = "superseded"
        self._tally.of(flight.name, job.queue).ended(end, took)

    def _ended_otherwise(self, flight: Flight, outcome: Outcome) -> str:
        """Say it; how it ended, in a word."""
        match outcome:
            case Discarded(record) if record.state is JobState.FAILED:
                self._flights.failed += 1
                why, kind = record.reason, "rejected"
                if record.error is not None:
                    kind = record.error.type
                    why = f"{kind.rpartition('.')[2]}: {record.error.message}"
                self._tally.failed(flight.name, kind)
                text = f"attempt {record.attempt}  {_line(why)}  → failed"
                return self._say(logging.ERROR, "✗", flight, text, "failed")
            case Discarded(record):
                return self._say(logging.INFO, "·", flight, f"{record.state}: {_line(record.reason)}", record.state)
            case Retried(delay, _, error):
                self._journal.attempt_failed(flight, error, delay)
                self._tally.failed(flight.name, error.type)
                why = f"{error.type.rpartition('.')[2]}: {_line(error.message)}"
                text = f"attempt {error.attempt}  {why}  → retry in {span(delay)}"
                return self._say(logging.WARNING, "✗", flight, text, "retrying")
            case Released(delay, reason):
                when = f" for {span(delay)}" if delay else ""
                return self._say(logging.INFO, "↩", flight, f"put back{when}: {_line(reason)}", "released")
            case Rejected(reason):
                return self._say(logging.ERROR, "✗", flight, f"{_line(reason)}  → dead letters", "rejected")
            case _:
                return self._say(logging.DEBUG, "·", flight, "dropped: it had ended already", "dropped")

    def _say(self, level: int, sign: str, flight: Flight, text: str, event: str) -> str:
        """Say it; what was said, in a word."""
        job = flight.claim.job
        fields: dict[str, Any] = {
            "event": event,
            "job_id": job.id,
            "task": flight.name,
            "queue": job.queue,
            "attempt": job.attempt,
        }
        if flight.begun_at:
            fields["seconds"] = round(flight.ended_at - flight.begun_at, 6)
        if trace := _trace(flight):
            fields["trace_id"] = trace
        self._lines.flush()
        log.log(level, FORM, sign, flight.name or "(unreadable)", job.id, text, extra=fields)
        return event


def _trace(flight: Flight) -> str:
    """The id of the trace that the attempt belongs to; empty where there is none."""
    return trace_id(flight.context.trace) if flight.context is not None and flight.context.trace else ""


def _line(text: str) -> str:
    """`text` on one line of bearable length: messages come from tasks, and logs are read by line."""
    flat = " ".join(text.split())
    return flat if len(flat) <= 200 else f"{flat[:199]}…"
