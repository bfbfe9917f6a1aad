"""The pytest plugin, in a pytest of its own: what it gives, what it costs, and that it leaves others alone."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[2]
PLUGIN = "naq.testing.plugin"


class Project:
    """A folder with somebody's tests."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.add("shop.py", SHOP)

    def add(self, name: str, text: str) -> None:
        (self.folder / name).write_text(dedent(text), encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.folder),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        }  # ours alone
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-p", PLUGIN, "-q", "-W", "error", "-p", "no:cacheprovider", *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def passes(self, count: int, *arguments: str) -> None:
        done = self.run(*arguments)
        assert f"{count} passed" in done.stdout, done.stdout + done.stderr
        assert done.returncode == 0, done.stdout + done.stderr


SHOP = """
    from naq import Naq

    app = Naq("shop", broker_url="nats://127.0.0.1:1")

    @app.task
    async def send(to: str) -> int:
        return len(to)

    def double(number: int) -> int:
        return 2 * number
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_it_is_what_the_package_declares() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert declared["pytest11"] == {"naq": PLUGIN}


def test_plain_and_coroutine_tests_with_the_app_that_a_setting_names(project: Project) -> None:
    project.add("pytest.ini", "[pytest]\nnaq_app = shop:app\n")
    project.add(
        "test_shop.py",
        """
        from datetime import timedelta

        import naq
        from shop import app, double, send

        def test_plain(naq_jobs):
            job = send.enqueue_sync("a@b")
            naq_jobs.assert_enqueued(send, args={"to": "a@b"}, count=1)
            naq_jobs.drain_sync(check=True)
            assert job.result_sync(timeout=0) == 3

        async def test_coroutine(naq_jobs):
            job = await send.enqueue("a@b")
            naq_jobs.assert_enqueued(send, count=1)
            await naq_jobs.drain(check=True)
            assert await job.result(timeout=0) == 3

        async def test_inline(naq_inline):
            assert await (await send.enqueue("a@b")).result(timeout=0) == 3

        def test_functions(naq_functions):
            job = naq.enqueue_sync(double, 4)
            naq_functions.drain_sync(check=True)
            assert job.result_sync(timeout=0) == 8

        def test_clock_first(naq_clock, naq_jobs):
            check(naq_clock, naq_jobs)

        def test_clock_second(naq_jobs, naq_clock):
            check(naq_clock, naq_jobs)

        def check(clock, jobs):
            assert jobs.clock is clock
            begun = clock.now
            send.options(delay=60).enqueue_sync("a@b")
            assert jobs.drain_sync().runs == 0
            assert clock.now == begun
            clock.advance(60)
            assert jobs.drain_sync().runs == 1

        def test_the_app(naq_app):
            assert naq_app is app
        """,
    )
    project.passes(7)


def test_an_app_from_a_fixture_of_ones_own_and_one_where_there_is_none(project: Project) -> None:
    (project.folder / "own").mkdir()
    project.add(
        "own/conftest.py",
        """
        import pytest

        @pytest.fixture
        def naq_app():
            import shop
            return shop.app
        """,
    )
    project.add(
        "own/test_own.py",
        """
        from shop import send

        def test_own(naq_jobs):
            send.enqueue_sync("a@b")
            assert naq_jobs.drain_sync(check=True).runs == 1
        """,
    )
    project.add(
        "test_none.py",
        """
        def test_new(naq_app, naq_jobs):
            @naq_app.task(name="hello")
            def hello() -> str:
                return "hello"

            job = hello.enqueue_sync()
            naq_jobs.drain_sync(check=True)
            assert job.result_sync(0) == "hello"
        """,
    )
    project.passes(2)


def test_a_server_for_the_run_and_a_namespace_for_each_test(project: Project) -> None:
    project.add("pytest.ini", "[pytest]\nnaq_app = shop:app\n")
    project.add(
        "test_whole.py",
        """
        from shop import app, send

        seen = []

        async def test_one(naq_broker):
            async with app:
                with naq_broker.worker():
                    assert await (await send.options(job_id="same").enqueue("a@b")).result(timeout=30) == 3
            naq_broker.assert_enqueued(send)

        async def test_left_open(naq_broker):
            job = await send.options(job_id="same").enqueue("a@b")
            assert not job.duplicate
            naq_broker.assert_enqueued(send, count=1)

        def test_plain(naq_broker, naq_server):
            assert not send.options(job_id="same").enqueue_sync("a@b").duplicate
            assert naq_server.is_running
        """,
    )
    project.passes(3)


def test_a_failure_reads_as_one(project: Project) -> None:
    project.add("pytest.ini", "[pytest]\nnaq_app = shop:app\n")
    project.add(
        "test_fails.py",
        """
        from shop import send

        async def test_fails(naq_jobs):
            await send.enqueue("a@b")
            naq_jobs.assert_enqueued(send, args={"to": "c@d"})
        """,
    )
    done = project.run()
    assert done.returncode == 1
    assert "expected at least one of shop.send(to='c@d'), and none was enqueued; 1 enqueued:" in done.stdout
    assert "shop.send('a@b')  queue=default  <- to is 'a@b', not 'c@d'" in done.stdout


def test_coroutine_tests_that_are_not_ours_are_left_to_others(project: Project) -> None:
    project.add("test_other.py", "async def test_other():\n    pass\n")
    done = project.run()
    assert done.returncode == 1
    assert "async def functions are not natively supported" in done.stdout
    project.add(
        "conftest.py",
        """
        import inspect
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_pyfunc_call(pyfuncitem):
            if inspect.iscoroutinefunction(pyfuncitem.obj):
                pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}).close()
                return True
        """,
    )
    project.add("test_other.py", "async def test_other(naq_jobs):\n    raise ValueError\n")
    project.passes(1)  # another plugin has taken it, and did nothing of it


def test_it_costs_a_run_without_it_next_to_nothing(project: Project) -> None:
    project.add(
        "test_nothing.py",
        """
        import sys

        def test_nothing():
            ours = {name for name in sys.modules if name.partition(".")[0] in {"naq", "msgspec", "nats"}}
            assert ours <= {"naq", "naq._version", "naq.testing", "naq.testing.plugin"}, ours
        """,
    )
    project.passes(1)


def test_the_helpers_need_no_pytest() -> None:
    program = (
        "import sys, naq.testing; from naq.testing import *; "
        "print([name for name in sys.modules if 'pytest' in name], callable(override), callable(on_server))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] True True"
