"""The specification of the seam, as tests that any backend can be put to.

::

    import pytest
    from naq.testing.conformance import *  # noqa: F403

    @pytest.fixture
    def harness():
        return MyHarness()          # see Harness; then also once with Deaf(MyHarness())

A backend is right when all of it passes. It needs pytest, and no plugin. See docs/backends.md.
"""

import pytest

# So that a failed assertion in the suite shows its values, as in a test of one's own.
for _module in (
    "bench", "cancel", "complete", "discard", "enqueue", "entries", "errors", "events", "fetch", "flow", "follow",
    "leases", "listing", "maintain", "move", "queues", "registry", "retry", "run_now", "signals", "unique", "wait",
):  # fmt: skip
    pytest.register_assert_rewrite(f"{__name__}.{_module}")

from naq.testing.conformance.amend import TestAmend  # noqa: E402  after the registration
from naq.testing.conformance.bench import Bench, lapsing, scenario  # noqa: E402
from naq.testing.conformance.cancel import (  # noqa: E402
    TestCancelOthers,
    TestCancelRunning,
    TestCancelWaiting,
    TestLookup,
)
from naq.testing.conformance.complete import TestComplete, TestFirstWriterWins  # noqa: E402
from naq.testing.conformance.discard import TestDiscard, TestReject, TestRequeue  # noqa: E402
from naq.testing.conformance.enqueue import TestDelay, TestEnqueue, TestSameId  # noqa: E402
from naq.testing.conformance.entries import TestEntries  # noqa: E402
from naq.testing.conformance.errors import TestLifecycle, TestNames, TestRefused  # noqa: E402
from naq.testing.conformance.events import TestEvents  # noqa: E402
from naq.testing.conformance.fetch import TestFetch, TestPriorities  # noqa: E402
from naq.testing.conformance.flow import TestFinals, TestUnblock, TestUnfinished  # noqa: E402
from naq.testing.conformance.follow import TestFollow  # noqa: E402
from naq.testing.conformance.harness import Deaf, Harness  # noqa: E402
from naq.testing.conformance.leases import TestDeadline, TestExtend, TestLapse  # noqa: E402
from naq.testing.conformance.listing import TestForget, TestJobs, TestLetter  # noqa: E402
from naq.testing.conformance.maintain import TestMaintain  # noqa: E402
from naq.testing.conformance.move import TestMove, TestMoveRaces  # noqa: E402
from naq.testing.conformance.queues import TestLimit, TestPause, TestPurge, TestStats, TestStorage  # noqa: E402
from naq.testing.conformance.registry import TestDeath, TestLeadership, TestWorkers  # noqa: E402
from naq.testing.conformance.retry import TestRelease, TestRetry  # noqa: E402
from naq.testing.conformance.run_now import TestRunNow  # noqa: E402
from naq.testing.conformance.signals import TestSignals  # noqa: E402
from naq.testing.conformance.unique import TestReplace, TestUnique  # noqa: E402
from naq.testing.conformance.wait import TestGet, TestWait  # noqa: E402

__all__ = [
    "Bench",
    "Deaf",
    "Harness",
    "TestAmend",
    "TestCancelOthers",
    "TestCancelRunning",
    "TestCancelWaiting",
    "TestComplete",
    "TestDeadline",
    "TestDeath",
    "TestDelay",
    "TestDiscard",
    "TestEnqueue",
    "TestEntries",
    "TestEvents",
    "TestExtend",
    "TestFetch",
    "TestFinals",
    "TestFirstWriterWins",
    "TestFollow",
    "TestForget",
    "TestGet",
    "TestJobs",
    "TestLapse",
    "TestLeadership",
    "TestLetter",
    "TestLifecycle",
    "TestLimit",
    "TestLookup",
    "TestMaintain",
    "TestMove",
    "TestMoveRaces",
    "TestNames",
    "TestPause",
    "TestPriorities",
    "TestPurge",
    "TestRefused",
    "TestReject",
    "TestRelease",
    "TestReplace",
    "TestRequeue",
    "TestRetry",
    "TestRunNow",
    "TestSameId",
    "TestSignals",
    "TestStats",
    "TestStorage",
    "TestUnblock",
    "TestUnfinished",
    "TestUnique",
    "TestWait",
    "TestWorkers",
    "lapsing",
    "scenario",
]
