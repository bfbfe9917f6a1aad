"""All commands by name, and what happens to their errors. A command's file is imported when it is the one asked for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Final

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from naq._version import __version__
from naq.cli.exits import Exit, exit_for
from naq.exceptions import NaqException

COMMANDS: Final = {
    "worker": "naq.cli.worker:worker",
    "version": "naq.cli.version:version",
}


def build(args: Sequence[str]) -> App:
    """The parser for `args`: of a command they name, only that one is imported; a list of all needs all."""
    named = any(arg in COMMANDS for arg in args)
    app = App(
        name="naq",
        help="Background jobs for Python that need nothing to start and that nobody outgrows.",
        version=f"naq {__version__}",
        help_format="plaintext",
        result_action="return_value",
    )
    for name, place in COMMANDS.items():
        app.command(place if named else _load(place), name=name)
    return app


def run(args: Sequence[str]) -> int:
    """Run the command that `args` name; its exit code. Errors are one line on stderr, with --debug a traceback."""
    debug = "--debug" in args
    try:
        result: object = build(args)(
            [arg for arg in args if arg != "--debug"], exit_on_error=False, print_error=False, help_on_error=False
        )
    except CycloptsError as error:
        _say(f"{error}\ntry: naq {next((arg for arg in args if arg in COMMANDS), '')} --help".replace("  ", " "))
        return Exit.USAGE
    except NaqException as error:
        if debug:
            traceback.print_exc()
        _say(str(error))
        return exit_for(error)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except Exception as error:  # noqa: BLE001  the last stop: what nobody foresaw is shown whole, and named what it is
        traceback.print_exc()
        _say(f"this is a bug in naq {__version__}, please report it with the lines above ({type(error).__name__})")
        return exit_for(error)
    return result if isinstance(result, int) else Exit.DONE


def _load(place: str) -> Callable[..., object]:
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def _say(text: str) -> None:
    print(f"naq: {text.strip()}", file=sys.stderr)
