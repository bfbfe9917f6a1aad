"""The library that reads every command line, and writes help and scripts of completion: cyclopts, fed what is declared.

Imported where `naq.cli.quick` has nothing to say: for help, for mistakes, and for rarer forms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, cast, get_args, get_origin, get_type_hints

import cyclopts
from cyclopts.exceptions import CycloptsError

from naq._version import __version__
from naq.cli.errors import UsageError
from naq.cli.parameter import Group, Parameter, imported, is_spread
from naq.cli.quick import Line

EVERY: Final = "*"  # among the words: all commands describe themselves, as tests and completion want it
_SHAPE: Final[Mapping[str, Any]] = {"help_format": "plaintext", "result_action": "return_value"}


def parse(commands: Mapping[str, tuple[str, str]], words: Sequence[str]) -> Line:
    """What `words` say; `commands` are those at the top: where each is, and what the list of all says of it.

    Raises:
        UsageError: nothing that can be done; says what is wrong, and how to get the help that is near.
    """
    app = build(commands, words)
    try:
        command, given, _ = app.parse_args(words, exit_on_error=False, print_error=False, help_on_error=False)
    except CycloptsError as error:
        raise UsageError(f"{error}\ntry: {_path(app, words)} --help") from error
    return Line(command, given.args, given.kwargs)


def build(commands: Mapping[str, tuple[str, str]], words: Sequence[str] = (EVERY,)) -> cyclopts.App:
    """The parser of everything; a command that `words` name is imported, and says itself what it is."""
    app = cyclopts.App(
        name="naq",
        help="Background jobs for Python that need nothing to start and that nobody outgrows.\n\n"
        "Example: naq enqueue tasks.hello name=world --wait",
        version=f"naq {__version__}",
        **_SHAPE,
    )
    for name, (place, text) in commands.items():
        _add(app, name, place, text, words)
    return app


def _add(
    app: cyclopts.App, name: str, command: Callable[..., Any] | Group | str, text: str, words: Sequence[str]
) -> None:
    """Give `app` a command; one that is elsewhere, and not among `words`, is only listed, with `text`."""
    if isinstance(command, str):
        if name not in words and EVERY not in words:
            app.command(f"{__name__}:elsewhere", name=name, help=text)  # as a place: cheaper to list than a function
            return
        command = cast("Callable[..., Any] | Group", imported(command))
    if isinstance(command, Group):
        below = cyclopts.App(name=name, help=command.text, version_flags=[], **_SHAPE)
        for each, function in command.commands.items():
            _add(below, each, function, command.texts.get(each, ""), words)
        app.command(below)
    else:
        app.command(_translated(command), name=name)


def elsewhere() -> None:
    """Stand for a command that nobody asked for."""


def _translated(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, with what it declares in the words of the library."""
    function.__annotations__ = {
        name: _translate(hint) for name, hint in get_type_hints(function, include_extras=True).items()
    }
    return function


def _translate(hint: Any) -> Any:
    if is_spread(hint) and not hasattr(hint, "__cyclopts__"):
        fields = get_type_hints(hint, include_extras=True)
        hint.__annotations__ = {name: _translate(each) for name, each in fields.items()}
        for field in hint.__dataclass_fields__.values():
            field.type = hint.__annotations__[field.name]
        return cyclopts.Parameter(name="*")(hint)
    if get_origin(hint) is not Annotated:
        return hint
    inner, *beside = get_args(hint)
    parts = (inner, *(_parameter(each) if isinstance(each, Parameter) else each for each in beside))
    return Annotated[parts]  # pyright: ignore[reportInvalidTypeForm]


def _parameter(declared: Parameter) -> cyclopts.Parameter:
    return cyclopts.Parameter(name=declared.name or None, **declared.further)  # pyright: ignore[reportArgumentType]


def _path(command: cyclopts.App, words: Sequence[str]) -> str:
    """The command that `words` begin with, as far as there is one."""
    path = ["naq"]
    for word in words:
        if word.startswith("-") or word not in command:
            break
        command = command[word]
        path.append(word)
    return " ".join(path)
