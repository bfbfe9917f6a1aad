"""What holds for every test: a component that a machine lacks may skip a test, but never in CI.

A skip whose reason begins with "missing:" says that something could have been installed and was not. With ``NAQ_CI=1``
such a skip is a failure, so that a green run means that everything ran (CONTRIBUTING.md).
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

MISSING = "missing:"
# Taken out of the environment: to naq, NAQ_ and a name is a setting, and one that it does not know is an error.
IN_CI = os.environ.pop("NAQ_CI", "") not in {"", "0"}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that was skipped, by a mark, a fixture or its own code."""
    report = yield
    if IN_CI and report.skipped and (reason := _reason(report.longrepr)).startswith(MISSING):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped in CI: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A whole file that was skipped."""
    report = yield
    if IN_CI and report.outcome == "skipped" and (reason := _reason(report.longrepr)).startswith(MISSING):
        report.outcome = "failed"
        report.longrepr = f"{collector.nodeid} was skipped in CI: {reason}"  # pyright: ignore[reportAttributeAccessIssue]
    return report


def _reason(longrepr: object) -> str:
    """Why it was skipped: (file, line, "Skipped: the reason")."""
    match longrepr:
        case (str(), int(), str(said)):
            return said.removeprefix("Skipped: ")
        case _:
            return ""
