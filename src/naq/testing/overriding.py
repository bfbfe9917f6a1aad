"""Putting an app, or code without one, under test: its jobs go elsewhere for a while, and its code is not touched."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from typing import Any, Final, Unpack

from msgspec.structs import replace

from naq import sync
from naq.app import Naq
from naq.config import Config, Settings
from naq.connections import Connection, diverted, lent
from naq.exceptions import ConfigurationError
from naq.testing.clock import FakeClock
from naq.testing.sandbox import Sandbox
from naq.testing.stage import Stage

#: Settings that say how to get into a broker of one's own, and would be wrong for a test's.
_NO_LOGIN: Final[dict[str, Any]] = dict.fromkeys(
    ("user", "password", "token", "creds", "nkey_seed", "tls_ca", "tls_cert", "tls_key"), ""
)


@contextmanager
def override(
    app: Naq | None = None, *, inline: bool = False, clock: FakeClock | None = None, **settings: Unpack[Settings]
) -> Generator[Sandbox]:
    """While the block runs, the jobs of `app` live in memory of their own. Its code stays as it is.

    ::

        with override(app) as jobs:
            sign_up("a@b")                                  # enqueues, awaited or by a _sync call
            jobs.assert_enqueued(send, args={"to": "a@b"})
            jobs.drain_sync(check=True)

    For tests with an event loop and without, and for apps that are connected elsewhere already. The app and the time
    are the whole process's, so that it is for one test at a time in each.

    Args:
        app: the app; None: code without one (`naq.enqueue`, `naq.Queue`, `naq.SyncClient`, `naq.Job`).
        inline: run each job as it is enqueued, before `enqueue` returns (docs/testing.md).
        clock: what the jobs go by. Default: the `FakeClock` whose block this is in, else one that shows the real time
            and can be advanced.
        settings: other settings of the app meanwhile, such as ``max_payload``.

    Raises:
        ConfigurationError: a setting that cannot be.
    """
    from naq.backends import memory

    subject = Naq() if app is None else app
    config = _elsewhere(subject.config, f"memory:test-{secrets.token_hex(6)}", settings)
    with ExitStack() as stack:
        time = clock or FakeClock.installed() or FakeClock(None, ticking=True)
        if not time.is_installed:
            stack.enter_context(time)
        stack.callback(memory.forget, config)
        sandbox = Sandbox(subject, config, lambda down: memory.set_down(config, down=down), time, inline=inline)
        stack.enter_context(_staged(sandbox, everybody=app is None))
        yield sandbox


@contextmanager
def on_server(app: Naq | None, url: str, **settings: Unpack[Settings]) -> Generator[Sandbox]:
    """As `override`, on the NATS server at `url`, such as a `naq.testing.broker.bundled_server`: for whole systems.

    ::

        with bundled_server() as server, on_server(app, server.url) as jobs, jobs.worker():
            assert send.enqueue_sync("a@b").result_sync(timeout=10) == 1

    Between the app and the server stands a `naq.testing.proxy.FaultProxy`, which `broker_down` shuts. Time is real, and
    jobs are run by workers. Where a test has an event loop, ``async with app:`` closes the connection before that ends.

    Args:
        app: the app; None: code without one.
        url: ``nats://HOST:PORT`` of a server without login, for which whatever the app has is left out.
        settings: other settings of the app meanwhile, such as ``publish_timeout``; `namespace` is a new one unless
            it is among them.

    Raises:
        ConfigurationError: a setting that cannot be, or a `FakeClock` rules: it would not rule the server.
    """
    from naq.testing.proxy import FaultProxy

    if FakeClock.installed() is not None:
        raise ConfigurationError("a clock of the test's own does not rule a real server: use one or the other")
    subject = Naq() if app is None else app
    with FaultProxy(url) as proxy:
        changed: dict[str, Any] = {**_NO_LOGIN, "namespace": f"test-{secrets.token_hex(6)}", **settings}
        config = _elsewhere(subject.config, proxy.url, changed)
        sandbox = Sandbox(subject, config, lambda down: proxy.refuse() if down else proxy.heal(), None)
        with _staged(sandbox, everybody=app is None):
            try:
                yield sandbox
            finally:
                proxy.heal()  # what is still to be sent at the end goes through


def _elsewhere(config: Config, url: str, settings: Any) -> Config:
    if "broker_url" in settings:
        raise ConfigurationError("where the jobs are is not a setting of a test; override: memory, on_server: a server")
    return replace(config, **{**settings, "broker_url": url})


@contextmanager
def _staged(sandbox: Sandbox, *, everybody: bool) -> Generator[None]:
    """Let the app of `sandbox` connect through its stage; `everybody`: and all that connects without an app."""
    app, config = sandbox.app, sandbox.config
    stages = {config: sandbox.stage}

    def stand_in(connection: Connection) -> Connection | None:
        if isinstance(connection, Stage):
            return None
        # As it is, but for the place: jobs of every kind of settings are run from one.
        own = replace(connection.config, broker_url=config.broker_url, namespace=config.namespace)
        if own not in stages:
            stages[own] = Stage(own, sandbox)
        return stages[own]

    with ExitStack() as stack:
        before = app.connect_through(sandbox.stage)
        stack.callback(app.connect_through, before)
        stack.enter_context(lent(sandbox.stage))
        if everybody:
            stack.enter_context(diverted(stand_in))
        try:
            yield
        finally:
            for stage in stages.values():
                _close(stage)


def _close(stage: Stage) -> None:
    """Close what sync calls opened; what other loops opened, which are not ours to block, is their own to close."""
    if stage.is_open and asyncio._get_running_loop() is None:
        sync.run("async with app:", stage.close)
    stage.let_go()
