"""Starting a process of ours: with a socket to us as its standard input, and a session of its own.

Of its own, so that a Ctrl-C at the terminal reaches only the one that is in charge, and so that killing it kills what
it has started, too.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, cast

from naq.exceptions import ConfigurationError

#: Seconds after its end that a process's last words may take to be read. They lie in a buffer of this machine; only a
#: socket that one of its own children still holds open is waited for that long.
LAST_WORDS: Final = 0.2


class Spawned:
    """A process that was started, seen from the event loop that started it.

    Attributes:
        pid: its process id.
        code: how it ended: its exit code, or minus the number of the signal; None while it lives.
        ended: done as soon as it has ended.
    """

    def __init__(self, on_exit: Callable[[], None]) -> None:
        self.pid = 0
        self.code: int | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._on_exit = on_exit
        self._read_out = False
        self._transport: asyncio.SubprocessTransport | None = None
        self._link: asyncio.WriteTransport | None = None

    def send(self, data: bytes) -> None:
        """Write to it; nothing happens if it has gone."""
        if self._link is not None:
            self._link.write(data)

    def hang_up(self) -> None:
        """Close the socket: to the process, the sign that it is not wanted any more. What was sent still arrives."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.code is None and self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """End it and what it has started, now."""
        if self.code is None and self.pid:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def attach(self, transport: asyncio.SubprocessTransport, link: asyncio.WriteTransport) -> None:
        """What it consists of; by `spawn`."""
        self._transport, self._link = transport, link
        self.pid = transport.get_pid()

    def exited(self, code: int) -> None:
        """By the event loop: it has ended."""
        self.code = code
        if self._read_out:
            self._finish()
        else:
            asyncio.get_running_loop().call_later(LAST_WORDS, self._finish)

    def read_out(self) -> None:
        """By the event loop: it has said all that it ever will."""
        self._read_out = True
        if self.code is not None:
            self._finish()

    def _finish(self) -> None:
        if self.ended.done():
            return
        self.hang_up()
        if self._transport is not None:
            self._transport.close()
        self.ended.set_result(None)
        self._on_exit()


class _Exit(asyncio.SubprocessProtocol):
    def __init__(self, spawned: Spawned) -> None:
        self._spawned = spawned
        self._transport: asyncio.SubprocessTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.SubprocessTransport", transport)

    def process_exited(self) -> None:
        code = None if self._transport is None else self._transport.get_returncode()
        self._spawned.exited(-1 if code is None else code)


class _Link(asyncio.Protocol):
    def __init__(self, on_data: Callable[[bytes], None], spawned: Spawned) -> None:
        self._on_data = on_data
        self._spawned = spawned

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  asyncio's signature
        self._spawned.read_out()

    def data_received(self, data: bytes) -> None:
        self._on_data(data)


async def spawn(
    command: Sequence[str],
    *,
    on_data: Callable[[bytes], None],
    on_exit: Callable[[], None],
    env: Mapping[str, str] | None = None,
    output: int | None = None,
    files: Collection[int] = (),
) -> Spawned:
    """Start `command`. `on_data` gets what it writes to the socket; `on_exit` is called once, when it has ended.

    What it prints goes to the open file `output`, or where our own output goes. The open `files` stay open in it.

    Raises:
        ConfigurationError: this system cannot.
        OSError: the program cannot be started, or the system has no room for another process.
    """
    if sys.platform == "win32":
        raise ConfigurationError("child processes need Linux or macOS; run tasks without executor='process' here")
    loop = asyncio.get_running_loop()
    spawned = Spawned(on_exit)
    ours, theirs = socket.socketpair()
    try:
        ours.setblocking(False)
        link, _ = await loop.create_unix_connection(lambda: _Link(on_data, spawned), sock=ours)
        try:
            transport, _ = await loop.subprocess_exec(
                lambda: _Exit(spawned),
                *command,
                stdin=theirs.fileno(),
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=tuple(files),
                env=None if env is None else dict(env),
            )
        except BaseException:
            link.close()
            raise
    finally:
        theirs.close()
    spawned.attach(transport, link)
    return spawned
