"""What holds for every test: where its helpers are, and that a component that a machine lacks never skips it in CI.

A test module goes by its path (``--import-mode=importlib``), so that two folders may have one of the same name. What
lies beside it to be imported (``process_tools``, ``rig``) is found here; what all share is ``tests.tools``.

A skip whose reason begins with "missing:" says that something could have been installed and was not. With ``NAQ_CI=1``
such a skip is a failure, so that a green run means that everything ran (CONTRIBUTING.md).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from naq.testing.broker import bundled_server
from tests.sharing import pytest_collection_modifyitems, pytest_xdist_make_scheduler
from tests.tools import Place

__all__ = ["pytest_collection_modifyitems", "pytest_xdist_make_scheduler"]  # hooks: pytest finds them here

# Without its bytecode every process that a test starts compiles all of naq again, 0.3 s of a core each time.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

sys.path += sorted(str(path) for path in Path(__file__).parent.iterdir() if path.is_dir() and path.name[0] not in "._")

MISSING = "missing:"
# Taken out of the environment: to naq, NAQ_ and a name is a setting, and one that it does not know is an error. The
# other name is for the processes of pytest-xdist, which inherit what is left.
IN_CI = os.environ.pop("NAQ_CI", "") not in {"", "0"} or "PYTEST_NAQ_CI" in os.environ
if IN_CI:
    os.environ["PYTEST_NAQ_CI"] = "1"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A NATS server that nobody breaks, one for each file; it starts in 60 ms."""
    with bundled_server() as server:
        yield server.url


@pytest.fixture(scope="module", params=["memory", "nats"])
def place(request: pytest.FixtureRequest) -> Place:
    """Both backends, one after the other."""
    return Place("memory:" if request.param == "memory" else request.getfixturevalue("url"))


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
