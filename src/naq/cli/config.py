"""``naq config``: the settings in force, and where each comes from."""
# ruff: noqa: D417 - options that all commands share are described once, in naq.cli.common

from __future__ import annotations

import os
from typing import Annotated, Any, Final

from naq.cli.common import DEFAULT, Common, read_config, say
from naq.cli.output import Column, print_rows
from naq.cli.parameter import Group, Parameter
from naq.cli.views import Setting

app = Group("config", "See the settings in force, and where each comes from.")

_COLUMNS: Final[tuple[Column[Setting], ...]] = (
    Column("SETTING", lambda setting: setting.name),
    Column("VALUE", lambda setting: setting.value),
    Column("SOURCE", lambda setting: setting.source),
)


@app.command
def show(
    *,
    sources: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    common: Common = DEFAULT,
) -> None:
    """Print the settings in force; secrets are hidden. Asks no broker.

    Example: naq config show --sources

    Args:
        sources: Also print where each comes from: argument, environment, profile, pyproject.toml, app, or default.
    """
    from naq.config.fields import KINDS
    from naq.config.fields import show as show_value

    config: Any = read_config(common)
    found = _sources(common)
    settings: list[Setting] = []
    for name in KINDS:
        value = getattr(config, name)
        settings.append(Setting(name=name, value=show_value(name, value), source=_source(found, name, value, common)))
    settings += _of_server(found)
    print_rows(settings, _COLUMNS if sources else _COLUMNS[:2], common, name="name")


@app.command
def validate(*, common: Common = DEFAULT) -> None:
    """Check the settings: exit code 0 if they are good, 2 with all that is wrong if not. Asks no broker.

    Example: naq config validate -A tasks:app
    """
    from naq.cli.common import refuse_memory
    from naq.config.load import problems
    from naq.exceptions import ConfigurationError

    if common.profile is not None:
        os.environ["NAQ_PROFILE"] = common.profile
    wrong = problems(_arguments(common))
    if len(wrong) > 1:
        raise ConfigurationError("\n".join(wrong))
    config = read_config(common)
    try:
        refuse_memory(config)
    except ConfigurationError as error:
        say(f"note: {error}")
    say("the settings are good")


def _of_server(found: dict[str, tuple[str, object]]) -> list[Setting]:
    """The settings of ``naq server``, which no app has."""
    from naq.config.fields import show as show_value
    from naq.config.server import PREFIX, SERVER_KINDS, load_server

    config = load_server()
    names = {PREFIX + name: getattr(config, name) for name in SERVER_KINDS}
    return [
        Setting(name=name, value=show_value(name, value), source=found[name][0] if name in found else "default")
        for name, value in names.items()
    ]


def _sources(common: Common) -> dict[str, tuple[str, object]]:
    """Of each setting that is given anywhere: the source that wins, and its value."""
    from naq.config.load import given_settings

    return given_settings(_arguments(common))


def _arguments(common: Common) -> dict[str, object]:
    given = {"broker_url": common.broker_url, "namespace": common.namespace}
    return {name: value for name, value in given.items() if value is not None}


def _source(found: dict[str, tuple[str, object]], name: str, value: object, common: Common) -> str:
    from naq.config import Config

    if name in found and found[name][1] == value:
        return found[name][0]
    if getattr(Config(), name) == value:
        return "default"
    return f"app {common.app}"
