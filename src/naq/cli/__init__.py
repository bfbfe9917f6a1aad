"""The command line: parses, delegates, prints. One file per command; `app` lists them."""

from __future__ import annotations

import gc
import sys

from naq._version import __version__

TYPE_CHECKING = False  # as type checkers know it, without importing `typing` for --version
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` (default: the process's arguments) names; its exit code, see `naq.cli.exits`.

    For a process of its own: what it leaves in memory is not collected.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if args in (["--version"], ["-V"]):  # answered before anything is imported, in the time that Python takes to start
        print(f"naq {__version__}")
        return 0
    if args[:1] == ["__complete"]:
        from naq.cli.complete import complete

        complete(args[1:])
    try:
        gc.disable()  # until all is imported (`naq.cli.app.run`): none of it is garbage, and to see that takes 10 ms
        from naq.cli.app import run

        return run(args)
    except KeyboardInterrupt:  # before there was anything to end
        return 130
    finally:
        gc.freeze()  # else Python looks through all of it once more as it ends: 20 ms
