"""``naq dead edit``: a failed job run again with other arguments, edited as text."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Raw, Struct

from naq.cli.changes import report
from naq.cli.common import DEFAULT, Common, read_config, say, talk
from naq.cli.errors import ConflictError, NotFoundError, UsageError
from naq.cli.exits import Exit
from naq.cli.views import Change

if TYPE_CHECKING:
    from naq.backends.base import Backend, DeadLetter
    from naq.codec.envelope import Envelope
    from naq.config import Config

_EDITORS: Final = ("VISUAL", "EDITOR")


class Arguments(Struct, frozen=True, forbid_unknown_fields=True):
    """What a job calls its task with: by position and by name."""

    args: list[Any] = []
    kwargs: dict[str, Any] = {}


def edit(letter_id: str, /, *, args: str | None = None, dry_run: bool = False, common: Common = DEFAULT) -> int:
    """Run a failed job again with other arguments, as a new run; its letter is gone then.

    Opens what it was called with as JSON in $VISUAL or $EDITOR, or takes --args. With --app the new
    arguments are checked against the task before anything is changed. An unchanged or empty file changes nothing.

    Example: naq dead edit 01JC4N9W2V --app tasks:app
    Example: naq dead edit 01JC4N9W2V --args '{"to": "a@b.c"}'

    Args:
        letter_id: The letter; that of a failed job has the job's id.
        args: The new arguments: a JSON array (by position) or object (by name), which replace all of the old ones.
        dry_run: Check them, print them, and change nothing.
    """
    from naq.flow.letters import rewritten

    config = read_config(common)
    letter = talk(config, lambda backend: backend.letter(letter_id))
    if letter is None:
        raise NotFoundError(f"there is no dead letter {letter_id!r} in this namespace; see naq dead list")
    if letter.kind != "failed":
        raise ConflictError(f"letter {letter_id} is {letter.kind}, no job that failed: there is nothing to run again")
    envelope = _read(letter, config)
    task = envelope.task
    before = Arguments(msgspec.json.decode(envelope.args), msgspec.json.decode(envelope.kwargs))
    after = edited(task, before) if args is None else given(args)
    if after is None:
        say("nothing was changed, and nothing run")
        return Exit.FAILED
    _check(common, envelope, after)
    payload = rewritten(letter, envelope, config, *_raw(after))
    if dry_run:
        sys.stdout.write(as_text(after))
        return Exit.DONE
    return report([talk(config, lambda backend: _again(backend, letter_id, payload))], common)


async def _again(backend: Backend, letter_id: str, payload: bytes) -> Change:
    done = await backend.requeue(letter_id, payload=payload)
    return Change(id=letter_id, done=done, outcome="queued" if done else "not found")


def _read(letter: DeadLetter, config: Config) -> Envelope:
    """What a failed job says about itself."""
    from naq.codec.envelope import JSON
    from naq.codec.reader import Reader
    from naq.job import JobSpec

    envelope = Reader(config)(JobSpec(id=letter.id, queue=letter.queue, payload=letter.payload))
    if envelope.codec != JSON:
        raise ConflictError(f"the arguments of job {letter.id} are pickled: it can only be run again as it is")
    return envelope


def _raw(arguments: Arguments) -> tuple[Raw, Raw]:
    return Raw(msgspec.json.encode(arguments.args)), Raw(msgspec.json.encode(arguments.kwargs))


def given(text: str) -> Arguments:
    """The arguments in `text`.

    Raises:
        UsageError: it is no JSON array or object.
    """
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"--args is no JSON ({error}); write an array or an object") from None
    if isinstance(value, list):
        return Arguments(args=value)  # pyright: ignore[reportUnknownArgumentType]
    if isinstance(value, dict):
        return Arguments(kwargs=value)  # pyright: ignore[reportUnknownArgumentType]
    raise UsageError(f"--args is a {type(value).__name__}; write a JSON array or object")


def _check(common: Common, envelope: Envelope, after: Arguments) -> None:
    """Hold the new arguments against the task, where the app is known.

    Raises:
        SerializationError, UnknownTask: they do not fit, or the app has no such task.
    """
    if common.app is None:
        return
    from naq.worker.loader import load_app

    task = load_app(common.app).get_task(envelope.task)
    task.versions.signature(envelope.version).decode(*_raw(after))  # they stay of the version that the job is of


def edited(task: str, before: Arguments) -> Arguments | None:
    """`before` as a person leaves it in an editor; None where it is as it was, or empty.

    Raises:
        UsageError: nobody is here to edit, there is no editor, or what was left is no JSON of that form.
    """
    editor = next((os.environ[name] for name in _EDITORS if os.environ.get(name)), None)
    if editor is None or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            "there is no terminal or no $EDITOR to edit in; say the new arguments: --args '[1, 2]' or '{...}'"
        )
    with tempfile.TemporaryDirectory(prefix="naq-") as folder:
        path = Path(folder) / f"{task.replace(':', '-')[:60]}.json"
        path.write_text(as_text(before), encoding="utf-8")
        path.chmod(0o600)
        try:
            subprocess.run([*shlex.split(editor), str(path)], check=True)  # noqa: S603 - the person's own editor
        except (OSError, subprocess.CalledProcessError) as error:
            raise UsageError(f"the editor {editor!r} did not work: {error}; nothing was changed") from None
        text = path.read_text(encoding="utf-8")
    if not text.strip():
        return None
    try:
        after = msgspec.json.decode(text, type=Arguments)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise UsageError(f"what you left is not what a job is called with: {error}; nothing was changed") from None
    return None if after == before else after


def as_text(arguments: Arguments) -> str:
    """`arguments` as a person edits them."""
    return msgspec.json.format(msgspec.json.encode(arguments), indent=2).decode() + "\n"
