"""Where settings come from: arguments, ``NAQ_*``, a profile, ``[tool.naq]``, a ``naq dev`` that runs here, defaults."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Unpack, cast

from naq.config.fields import KINDS, read_field
from naq.config.model import Config, Settings
from naq.config.old_names import formerly
from naq.config.profiles import TABLE, VARIABLE, settings_of_profile
from naq.config.running import settings_of_running
from naq.config.suggest import hint
from naq.exceptions import ConfigurationError

PREFIX: Final = "NAQ_"
NOT_SETTINGS: Final = frozenset({"NAQ_FAULT", VARIABLE})  # armed fault points, read by naq.faults; the profile
SERVER: Final = "server_"  # before the names of the server's settings, which no app has (naq.config.server)
APP: Final = "app"  # of [tool.naq], and no setting of an app: where it is, for commands that need one


def load_config(**arguments: Unpack[Settings]) -> Config:
    """The settings in force: `arguments`, else ``NAQ_<NAME>``, else a profile, else ``[tool.naq]``, else the defaults.

    As long as ``naq dev`` runs in the working directory, the default of `broker_url` is its broker. ``[tool.naq]`` is
    read from the nearest ``pyproject.toml``, from the working directory upwards. An empty variable counts as not set.
    ``NAQ_PROFILE`` picks a profile of it (``[tool.naq.profiles.NAME]``). Nothing is cached: each call reads again.

    Raises:
        ConfigurationError: an unknown setting (with the nearest known one) or an invalid value, with its source.
    """
    return load_from(cast("Mapping[str, object]", arguments))


def load_from(arguments: Mapping[str, object], *, defaults: Mapping[str, object] | None = None) -> Config:
    """`load_config` for arguments in a mapping; `defaults` stand below every source and above `Config`'s own.

    Raises:
        ConfigurationError: as `load_config`, and for a setting of the server among the arguments.
    """
    values: dict[str, object] = dict(defaults or {})
    if name := next((name for name in arguments if name.startswith(SERVER)), None):
        raise ConfigurationError(
            f"argument {name}: it is a setting of the server, which no app has; set {PREFIX}{name.upper()}, "
            f"or {name} in [tool.naq], where `naq server` runs"
        )
    values.update((name, value) for name, (_, value) in given_settings(arguments).items() if name in KINDS)
    return Config(**cast("dict[str, Any]", values))


def given_settings(arguments: Mapping[str, object]) -> dict[str, tuple[str, object]]:
    """Every setting that some source gives: the source that wins, and its value as the setting holds it.

    Raises:
        ConfigurationError: as `load_config`.
    """
    values: dict[str, tuple[str, object]] = {}
    for source, found in _sources(arguments):
        for name, value in found.items():
            values[name] = source, _read(source, name, value)
    return values


def problems(arguments: Mapping[str, object]) -> list[str]:
    """Everything that is wrong with the settings that are given anywhere, each said once; [] where they are good.

    Raises:
        ConfigurationError: a source cannot be read at all.
    """
    found: list[str] = []
    for source, settings in _sources(arguments):
        for name, value in settings.items():
            try:
                _read(source, name, value)
            except ConfigurationError as error:
                found.append(str(error))
    return found


def _sources(arguments: Mapping[str, object]) -> list[tuple[str, Mapping[str, object]]]:
    """Where settings are given, the one that wins last."""
    return [settings_of_running(), *_from_project(), _from_environment(), ("argument", arguments)]


def _read(source: str, name: str, value: object) -> object:
    environment = source == "environment"
    if name.startswith(SERVER):
        return _read_of_server(source, name, value)
    if name not in KINDS:
        shown, known = (
            (PREFIX + name.upper(), [PREFIX + each.upper() for each in KINDS]) if environment else (name, KINDS)
        )
        what = formerly(name, PREFIX if environment else "") or hint(shown, known)
        raise ConfigurationError(f"{source}: there is no setting {shown!r}; {what}")
    where = f"{source} {PREFIX}{name.upper()}" if environment else f"{source} {name}"
    return read_field(name, value, where)


def _read_of_server(source: str, name: str, value: object) -> object:
    from naq.config.server import SERVER_KINDS

    prefix = PREFIX if source == "environment" else ""
    shown = prefix + name.upper() if prefix else name
    known = SERVER_KINDS.get(name.removeprefix(SERVER))
    if known is None:
        all_ = [SERVER + each for each in SERVER_KINDS]
        raise ConfigurationError(
            f"{source}: there is no setting {shown!r}; "
            f"{hint(shown, [prefix + each.upper() for each in all_] if prefix else all_)}"
        )
    return read_field(name, value, f"{source} {shown}", known[0])


def _from_environment() -> tuple[str, dict[str, object]]:
    found: dict[str, object] = {
        variable.removeprefix(PREFIX).lower(): value
        for variable, value in os.environ.items()
        if variable.startswith(PREFIX) and variable not in NOT_SETTINGS and value
    }
    return "environment", found


def _from_project() -> list[tuple[str, dict[str, object]]]:
    """What ``[tool.naq]`` says, and then what the chosen profile says."""
    for folder in _folders_upwards():
        path = folder / "pyproject.toml"
        if path.is_file():
            table = _table(path)
            settings = {name: value for name, value in table.items() if name not in {APP, TABLE}}
            return [(f"{path} [tool.naq]", settings), settings_of_profile(str(path), table)]
    return [settings_of_profile("pyproject.toml (there is none here)", {})]


def project_app() -> str | None:
    """Where ``[tool.naq]`` says that the app is, such as "tasks:app"; None where it does not say.

    Raises:
        ConfigurationError: pyproject.toml cannot be read, or `app` is no text.
    """
    for folder in _folders_upwards():
        path = folder / "pyproject.toml"
        if path.is_file():
            app = _table(path).get(APP)
            if app is not None and not isinstance(app, str):
                raise ConfigurationError(f'{path} [tool.naq] app is {app!r}; write it as "tasks:app"')
            return app
    return None


def _folders_upwards() -> Iterator[Path]:
    try:
        here = Path.cwd()
    except OSError:  # the working directory was removed: there is no project around us
        return
    yield here
    yield from here.parents


def _table(path: Path) -> dict[str, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from error
    if "naq" not in text:  # most projects have no table of ours: spare them the parser (10 ms of import)
        return {}
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is not valid TOML: {error}") from error
    tool: object = document.get("tool", {})
    table: object = cast("dict[str, object]", tool).get("naq", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ConfigurationError(f"{path}: [tool.naq] must be a table of settings, not {table!r}")
    return cast("dict[str, object]", table)
