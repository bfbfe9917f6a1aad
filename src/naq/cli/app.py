"""All commands by name, and what happens to their errors. A command's file is imported when it is the one asked for."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from typing import Final

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from naq._version import __version__
from naq.cli.exits import Exit, exit_for
from naq.exceptions import NaqException

#: Where each command is, and what it says of itself in the list, so that the list imports none of them.
COMMANDS: Final = {
    "worker": ("naq.cli.worker:worker", "Claim jobs of an app and run them."),
    "version": ("naq.cli.version:version", "Print the versions of naq and what it stands on."),
}


def build() -> App:
    """The parser."""
    app = App(
        name="naq",
        help="Background jobs for Python that need nothing to start and that nobody outgrows.",
        version=f"naq {__version__}",
        help_format="plaintext",
        result_action="return_value",
    )
    for name, (place, text) in COMMANDS.items():
        app.command(place, name=name, help=text)
    return app


def run(args: Sequence[str]) -> int:
    """Run the command that `args` name; its exit code. Errors are one line on stderr, with --debug a traceback."""
    debug = "--debug" in args
    try:
        result: object = build()(
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


def _say(text: str) -> None:
    print(f"naq: {text.strip()}", file=sys.stderr)
