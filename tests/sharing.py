"""How the tests are shared out among the processes of pytest-xdist.

Most tests wait most of their time, for leases, for silence to be noticed, for other processes: so there are more
processes than cores. Tests of a file stay together, since they share what the file starts; those that start everything
by themselves go one by one, last, and fill what the files leave. What takes long comes first, so that nothing is left
alone at the end.
"""

from __future__ import annotations

from typing import Final

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

#: What takes longest: leases that lapse at one server and at three, every operation of the API, commands, databases.
FIRST: Final = (
    "tests/conformance/test_nats",
    "tests/api/test_api_fuzz.py",
    "tests/api/",
    "tests/cli/",
    "tests/history/",
)
#: Each test has its own everything: a process tree, a server that is killed, a program.
ALONE: Final = ("tests/faults/", "tests/dev/", "tests/examples/")
#: Of those, what takes longest.
SLOW: Final = tuple(f"tests/faults/test_{name}.py" for name in ("history", "soak", "events_held", "database_lost"))


class ByFile(LoadScopeScheduling):
    """A file at a time, or a test of those that stand alone, in the order of `rank`."""

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ALONE) else nodeid.partition("::")[0]


def rank(nodeid: str) -> int:
    """Where a test comes: those of a rank keep their order."""
    if nodeid.startswith(ALONE):
        return len(FIRST) + (1 if nodeid.startswith(SLOW) else 2)
    return next((place for place, start in enumerate(FIRST) if nodeid.startswith(start)), len(FIRST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    """In place of ``--dist loadfile``; it leaves the order as it is."""
    if config.option.dist != "loadfile":
        return None
    config.option.loadscopereorder = False
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In a process among several: the same order in all of them."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: rank(item.nodeid))
