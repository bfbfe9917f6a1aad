"""Help for those who test code that uses naq, or a backend of their own (docs/testing.md).

::

    def test_a_sign_up_sends_a_mail() -> None:
        with override(app) as jobs:
            sign_up("a@b")
            jobs.assert_enqueued(send, args={"to": "a@b"})
            jobs.drain_sync()

With pytest, the fixture `naq_jobs` does the same. Names are loaded when first asked for; pytest never is.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as type checkers know it, without the time that importing `typing` takes
if TYPE_CHECKING:
    from naq.testing.clock import FakeClock
    from naq.testing.drained import Drained
    from naq.testing.enqueued import Enqueued
    from naq.testing.overriding import on_server, override
    from naq.testing.sandbox import Sandbox

__all__ = ["Drained", "Enqueued", "FakeClock", "Sandbox", "on_server", "override"]

_HOMES = {
    "Drained": "naq.testing.drained",
    "Enqueued": "naq.testing.enqueued",
    "FakeClock": "naq.testing.clock",
    "Sandbox": "naq.testing.sandbox",
    "on_server": "naq.testing.overriding",
    "override": "naq.testing.overriding",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'naq.testing' has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value  # the next look-up does not come here
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
