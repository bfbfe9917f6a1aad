"""``naq dev`` from its start to its end: what it starts, what it prints, which keys it knows."""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from naq._version import __version__
from naq.cli.common import say
from naq.cli.dev_app import DEMO_APP, Broker, Wishes, check, choose_app, choose_broker
from naq.cli.dev_join import join
from naq.cli.dev_order import Ordering
from naq.cli.errors import ConflictError
from naq.cli.exits import Exit
from naq.cli.reloading import watch_for
from naq.cli.serve import Options
from naq.cli.supervise import command
from naq.config.fields import hide_credentials
from naq.config.running import FOLDER, Running, running_here
from naq.dev.alone import NoBroker
from naq.dev.broker import PassingBroker
from naq.dev.errand import Errands
from naq.dev.find import first_task
from naq.dev.hold import HeldError, Hold, ignore_in_git
from naq.dev.keys import Keys, has_keys
from naq.dev.log import FILE as LOG
from naq.dev.log import DevLog
from naq.dev.new import FIRST_JOB
from naq.dev.server import DevServer, can_serve
from naq.dev.tree import Stopped, Tree
from naq.dev.watch import Watch, can_watch
from naq.dev.workers import DRAIN, Workers
from naq.logs import LEVELS, check_level

__all__ = ["Wishes", "run_session"]

_KEYS: Final = "e enqueue · r restart · w workers · l log level · q quit"


def run_session(wishes: Wishes) -> int:
    """Run until somebody ends it; the exit code.

    Raises:
        UsageError: there is no app, or wishes that do not go together.
        ConflictError: somebody else runs ``naq dev`` in this folder.
        NaqException: the broker cannot be started, or reached.
    """
    check_level("--log-level", wishes.log_level)
    check(wishes)
    folder = Path.cwd()
    began = time.monotonic()
    app, is_new = _app_that_runs(wishes), False
    if app is None:
        app, is_new = choose_app(wishes, folder)
    try:
        hold = Hold(folder, app)
    except HeldError as error:
        if error.holder is not None and _may_join(wishes, app, error.holder):
            return join(error.holder, folder)
        raise ConflictError(str(error)) from error
    with hold:
        if is_new:
            say("wrote tasks.py")
        if ignore_in_git(folder):
            say("added .naq/ to .gitignore")
        return asyncio.run(Session(wishes, app, hold, is_new=is_new, began=began).run())


def _app_that_runs(wishes: Wishes) -> str | None:
    """The app of the ``naq dev`` that runs here, where none is named: nobody is to be asked for one."""
    if wishes.app is not None or wishes.demo or wishes.new:
        return None
    running = running_here()
    return None if running is None else running.app


def _may_join(wishes: Wishes, app: str, holder: Running) -> bool:
    """Whether what is asked for is what runs already."""
    own = wishes.data is not None or wishes.broker_url is not None or (wishes.memory and not wishes.demo)
    return app == holder.app and not own and wishes.workers == 1


class Session:
    """One run of ``naq dev``."""

    def __init__(self, wishes: Wishes, app: str, hold: Hold, *, is_new: bool, began: float) -> None:
        self._wishes = wishes
        self._app = app
        self._hold = hold
        self._is_new = is_new
        self._began = began
        self._level = wishes.log_level.lower()
        self._is_up = False
        self._tree = Tree(self._asked)
        self._broker: Broker | None = None
        self._log = DevLog(Path(FOLDER) / LOG)
        self._workers = Workers(
            self._command, wishes.workers, env=self._environment, output=self._log.output, say=self._log.say
        )
        self._server: DevServer | None = None
        self._errands = Errands(self._environment)
        self._ordering = Ordering(app, self._errands, say)
        self._keys: Keys | None = None
        self._acting: set[asyncio.Task[None]] = set()

    async def run(self) -> int:
        """Run; the exit code: 0 where it was ended in order, 130 while it was starting or by asking twice."""
        try:
            await self._tree.run(self._body)
        except Stopped as stopped:
            return Exit.DONE if self._is_up and stopped.asked == 1 else Exit.INTERRUPTED
        return Exit.DONE

    async def _body(self, tree: Tree) -> None:
        await tree.start(self._log)
        self._broker = await choose_broker(self._wishes)
        if self._alone is not None:
            self._workers.keep(1)  # each would have jobs of its own
        await tree.start(self._broker)
        self._hold.tell(self._broker.url if self._alone is None else "")  # nobody else can use a memory
        watch = Watch(Path.cwd()) if self._wishes.reload and can_watch() else None
        if watch is not None:
            await tree.start(watch)
        await tree.start(self._workers)
        if self._wishes.server and self._alone is None and can_serve():
            self._server = self._make_server()
            await tree.start(self._server)
            self._hold.tell(self._broker.url, self._server.url)
        await tree.start(self._errands)
        self._is_up = True
        with ExitStack() as until_the_end:
            if has_keys():
                self._keys = until_the_end.enter_context(Keys(self._on_key))
            self._introduce(self._broker)
            if self._workers.are_ready:
                await self._first_jobs()
            if watch is not None:
                await watch_for(watch, self._workers, self._log.say)
            await asyncio.Event().wait()

    @property
    def _alone(self) -> NoBroker | None:
        return self._broker if isinstance(self._broker, NoBroker) else None

    async def _first_jobs(self) -> None:
        if self._app == DEMO_APP:
            await self._ordering.demo(self._alone)
        elif self._is_new:
            await self._ordering.enqueue(shlex.join(FIRST_JOB), self._alone)

    def _make_server(self) -> DevServer:
        # A history outlives its jobs, but not in a folder where the next broker knows nothing of them.
        forgets = isinstance(self._broker, PassingBroker)
        return DevServer(
            None if forgets else (self._wishes.data or Path(FOLDER)) / "dev.db",
            self._wishes.port,
            env=self._environment,
            output=self._log.output,
            log_format=self._wishes.log_format,
            say=self._log.say,
        )

    def _command(self, number: int) -> list[str]:
        options = Options(
            app=self._app,
            queues=None,
            concurrency=None,
            name=None,
            shutdown_timeout=f"{DRAIN:g}s",
            modules=[],
            broker_url=None,
            log_level=self._level,
            log_format=None,
            terse=True,
            requests=None if self._alone is None else str(self._alone.requests),
        )
        return command(options, self._wishes.log_format, number)

    def _environment(self) -> dict[str, str]:
        assert self._broker is not None
        # Their output goes through a pipe: Python would keep it back, and programs that ask would leave colours out.
        colour = {"FORCE_COLOR": "1"} if sys.stderr.isatty() and not os.environ.get("NO_COLOR") else {}
        return {"NAQ_BROKER_URL": self._broker.url, "PYTHONUNBUFFERED": "1", **colour}

    def _introduce(self, broker: Broker) -> None:
        took = time.monotonic() - self._began
        if not self._wishes.reload:
            watching = "started anew with r" if has_keys() else "no reload"
        elif can_watch():
            watching = "watching for changes"
        else:
            watching = 'no reload without watchfiles: pip install "naq[dev]"'
        count = len(self._workers.processes)
        workers = f" · {count} workers" if count > 1 else ""
        order = shlex.join(FIRST_JOB) if self._is_new else first_task(Path.cwd(), self._app) or "TASK"
        state = f"ready in {took:.1f} s" if self._workers.are_ready else "no worker yet"
        say(f"\n  naq dev  {__version__}{'':34}{state}")
        say(f"  Broker   {hide_credentials(broker.url)}  ({broker.about})")
        if self._server is not None:
            say(f"  Server   {self._server.url}  (history and API)")
        elif self._wishes.server and self._alone is None:
            say('  Server   none: pip install "naq[server]"')
        say(f"  App      {self._app}{workers} · {watching}")
        if self._alone is None:
            say(f"  Try      naq enqueue {order} --app {self._app} --wait")
        say(f"  {'Keys     ' + _KEYS if has_keys() else 'End      Ctrl-C'}\n")

    def _asked(self, count: int) -> None:
        if count == 1:
            kept = "kept" if self._alone is None else "lost, as there is no broker to keep them"
            self._log.say(f"stopping; running jobs get {DRAIN:g} s, the others are {kept} (once more stops now)")
        elif count == 2:
            say("stopping now")

    def _on_key(self, key: str) -> None:
        acts: dict[str, Callable[[], None]] = {
            "q": self._tree.stop,
            "e": lambda: self._act(self._ask_what_to_enqueue),
            "r": lambda: self._act(self._restart),
            "l": self._change_level,
            "w": self._show_workers,
            "h": lambda: say(f"  {_KEYS}"),
            "?": lambda: say(f"  {_KEYS}"),
            "\n": lambda: say(""),
        }
        if key in acts:
            acts[key]()

    def _act(self, what: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do something that takes a while, unless that very thing goes on."""
        if what.__name__ not in {each.get_name() for each in self._acting}:
            acting = asyncio.create_task(what(), name=what.__name__)
            self._acting.add(acting)
            acting.add_done_callback(self._acting.discard)

    async def _ask_what_to_enqueue(self) -> None:
        assert self._keys is not None
        await self._ordering.ask(self._keys, self._alone)

    async def _restart(self) -> None:
        began = time.monotonic()
        if await self._workers.reload():
            self._log.say(f"started anew in {time.monotonic() - began:.1f} s")

    def _change_level(self) -> None:
        self._level = LEVELS[(LEVELS.index(self._level) + 1) % len(LEVELS)]
        say(f"log level {self._level}")
        self._act(self._restart)

    def _show_workers(self) -> None:
        for process in self._workers.processes:
            facts = {} if process.status is None else process.status.report.facts
            state = "ended" if process.code is not None else facts.get("state", "starting")
            say(f"  worker {process.number}  process {process.pid}  {state}  {facts.get('worker', '')}")
