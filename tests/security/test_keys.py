"""Keys as settings write them: what is taken, what is refused, and that none of it ever shows."""

from __future__ import annotations

import base64
from io import StringIO

import pytest
from rich.console import Console
from security_tools import key

from naq.config import Config, load_config
from naq.config.keys import Key, keyring, read_keys
from naq.exceptions import ConfigurationError

SECRET = base64.b64encode(bytes(range(200, 232))).decode()


def test_the_first_key_writes_and_all_are_accepted() -> None:
    keys = keyring((key("new"), key("old")))
    assert keys is not None
    assert keys.first == Key("new", b"new".ljust(32, b"."))
    assert list(keys.by_id) == ["new", "old"]
    assert not keys.optional


@pytest.mark.parametrize(("texts", "first"), [(("none", key("a")), None), ((key("a"), "none"), "a")])
def test_none_takes_what_has_no_key_as_well(texts: tuple[str, ...], first: str | None) -> None:
    keys = keyring(texts)
    assert keys is not None
    assert keys.optional
    assert (keys.first and keys.first.id) == first


def test_text_is_a_list_with_commas_and_either_alphabet_of_base64_will_do() -> None:
    url_safe = SECRET.replace("+", "-").replace("/", "_").rstrip("=")
    assert read_keys(f" a:{SECRET} , b:{url_safe} ") == (f"a:{SECRET}", f"b:{url_safe}")
    keys = keyring((f"a:{SECRET}", f"b:{url_safe}"))
    assert keys is not None
    assert keys.by_id["a"].secret == keys.by_id["b"].secret == bytes(range(200, 232))
    assert keyring(()) is None


@pytest.mark.parametrize(
    "value",
    [
        "none",
        "secret",
        f"{SECRET}",
        f":{SECRET}",
        f"with space:{SECRET}",
        f"{'i' * 33}:{SECRET}",
        f"a:{SECRET}x",
        f"a:{base64.b64encode(bytes(31)).decode()}",
        f"a:{SECRET},a:{SECRET}",
        [f"a:{SECRET}\n"],
        [f"a:{SECRET}", 5],
        5,
        {"a": SECRET},
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(value: object) -> None:
    for name in ("signing_keys", "encryption_keys"):
        with pytest.raises(ConfigurationError, match=f"{name}.*'id:secret'.*at least 32 random bytes") as caught:
            Config(**{name: value})  # pyright: ignore[reportArgumentType]
        assert SECRET[:8] not in str(caught.value)


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_SIGNING_KEYS", f"{key('new')},{key('old')}")
    monkeypatch.setenv("NAQ_ENCRYPTION_KEYS", f"none,{key('only')}")
    monkeypatch.setenv("NAQ_CODEC", "pickle")
    config = load_config()
    assert config.signing_keys == (key("new"), key("old"))
    assert config.encryption_keys == ("none", key("only"))
    assert config.codec == "pickle"


def test_a_secret_does_not_show() -> None:
    config = Config(signing_keys=[f"a:{SECRET}"], encryption_keys=[f"b:{SECRET}"])  # pyright: ignore[reportArgumentType]
    keys = keyring(config.signing_keys)
    assert keys is not None
    out = StringIO()
    Console(file=out, width=300, no_color=True).print(config, keys, keys.first)
    shown = out.getvalue() + repr(config) + repr(keys) + repr(keys.first) + str(keys.by_id)
    assert SECRET[:8] not in shown
    assert repr(bytes(range(200, 232)))[2:20] not in shown
    assert "signing_keys='***'" in repr(config)


def test_only_codecs_that_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"'yaml' is not a codec; expected one of 'json', 'pickle'"):
        Config(codec="yaml")  # pyright: ignore[reportArgumentType]
