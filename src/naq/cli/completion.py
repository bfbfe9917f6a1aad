"""``naq completion``."""

from __future__ import annotations

from typing import Literal

from naq.cli.common import say


def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print a script that completes naq's commands and options in a shell.

    Example: naq completion bash > ~/.local/share/bash-completion/completions/naq

    Args:
        shell: Which one.
    """
    from naq.cli.app import build

    print(build().generate_completion(prog_name="naq", shell=shell))
    say(f"to use it, put this where {shell} looks for completions, then open a new shell")
