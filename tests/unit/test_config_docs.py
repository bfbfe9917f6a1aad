"""docs/configuration.md says what the code does."""

import re
from pathlib import Path

import msgspec
import pytest

from naq.config import Config, load_config
from naq.exceptions import ConfigurationError

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| ((?:`[a-z_]+`(?:, )?)+) \| (.+?) \|", re.MULTILINE)


def documented() -> dict[str, str]:
    table = PAGE.partition("## Settings")[2].partition("The environment variable")[0]
    return {name: default for names, default in ROW.findall(table) for name in re.findall(r"`([a-z_]+)`", names)}


def test_every_setting_is_documented_in_order_and_nothing_else() -> None:
    assert list(documented()) == [field.name for field in msgspec.structs.fields(Config)]


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def test_the_documented_defaults_are_the_defaults() -> None:
    config = Config()
    for name, text in documented().items():
        default = getattr(config, name)
        if text == "none":
            assert default in {"", ()}, name
        elif name != "namespace":
            whole = isinstance(default, float) and default >= 1
            assert text.strip("`") == (f"{default:.0f}" if whole else _text(default)), name


def test_the_documented_errors_are_the_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = re.findall(r"^ConfigurationError: (.+)$", PAGE, re.MULTILINE)
    found: list[str] = []
    for name, value in (("NAQ_BROKERURL", "memory:"), ("NAQ_LEASE", "soon")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(ConfigurationError) as caught:
                load_config()
            found.append(str(caught.value))
    assert found == shown
