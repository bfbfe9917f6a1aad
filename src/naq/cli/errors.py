"""Errors of the command line itself; each has an exit code of its own (`naq.cli.exits`)."""

from __future__ import annotations

from naq.exceptions import NaqException


class UsageError(NaqException):
    """The command line asks for something that makes no sense; the message says what does."""


class ConflictError(NaqException):
    """What was asked for does not fit the state in which the thing is."""


class NotFoundError(NaqException):
    """There is nothing of the name or id given."""
