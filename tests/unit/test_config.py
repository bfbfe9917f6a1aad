"""Settings: what they may be, and that a secret never shows."""

from datetime import timedelta
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.config import Config, Settings, load_config
from naq.config.fields import KINDS, SECRET, hide_credentials, read_field, read_seconds
from naq.exceptions import ConfigurationError


def test_the_three_lists_of_settings_are_one() -> None:
    fields = [field.name for field in msgspec.structs.fields(Config)]
    assert list(KINDS) == fields
    assert list(get_type_hints(Settings)) == fields


def test_defaults_are_valid_and_documented_ones() -> None:
    config = Config()
    assert (config.broker_url, config.namespace, config.durability) == ("nats://127.0.0.1:4222", "default", "standard")
    assert (config.lease, config.crash_limit, config.concurrency) == (30.0, 5, 20)
    assert (config.max_payload, config.max_result, config.max_headers) == (1_048_576, 1_048_576, 4096)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (5, 5.0),
        (0.25, 0.25),
        (timedelta(minutes=1), 60.0),
        ("30", 30.0),
        ("0.5", 0.5),
        ("250ms", 0.25),
        ("30s", 30.0),
        ("5m", 300.0),
        ("2h", 7200.0),
        ("7d", 604800.0),
        (" 10 s ", 10.0),
        ("1_000", 1000.0),
    ],
)
def test_durations(value: object, seconds: float) -> None:
    assert abs(read_seconds(value) - seconds) < 1e-9


@pytest.mark.parametrize(
    "value", ["", "soon", "-1s", "1e3", "٣", "nan", "inf", True, None, [1], float("nan"), 1e300, 10**400]
)
def test_what_is_no_duration(value: object) -> None:
    with pytest.raises(ConfigurationError, match="lease"):
        read_field("lease", value, "test")


@given(st.floats(min_value=0.001, max_value=1e6))
def test_a_duration_survives_being_written_as_text(seconds: float) -> None:
    assert abs(read_seconds(f"{seconds:.6f}") - seconds) < 1e-6


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"lease": 0}, "more than 0"),
        ({"lease": -1}, "more than 0"),
        ({"record_ttl": 0.5}, "at least 1 s"),
        ({"crash_limit": 0}, "whole number from 1"),
        ({"crash_limit": True}, "whole number"),
        ({"crash_limit": 2.5}, "whole number"),
        ({"crash_limit": "many"}, "whole number"),
        ({"max_payload": 1 << 40}, "67108864"),
        ({"durability": "extreme"}, "'replicated-strict'"),
        ({"namespace": "a.b"}, "letters, digits"),
        ({"namespace": "a\r\nb"}, "letters, digits"),
        ({"broker_url": ""}, "a URL"),
        ({"broker_url": "nats://a\r\nPUB x"}, "a URL"),
        ({"imports": ["os:system"]}, "module names"),
        ({"imports": 5}, "module names"),
        ({"imports": [5]}, "module names"),
        ({"user": 5}, "text"),
        ({"heartbeat_interval": 60}, "worker_ttl"),
        ({"password": "x"}, "user is not"),
        ({"tls_cert": "a.pem"}, "tls_key"),
    ],
)
def test_what_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        Config(**settings)


def test_imports_are_names_in_a_list_or_in_one_text() -> None:
    assert load_config(imports=["a.b", "c"]).imports == ("a.b", "c")
    assert read_field("imports", "a.b, c,", "test") == ("a.b", "c")


SECRETS: dict[str, Any] = {
    name: ["k:" + f"very-{name}-secret".ljust(44, "A")] if name.endswith("_keys") else f"very-{name}-secret"
    for name in SECRET
}


def _with_secrets() -> Config:
    return Config(user="ada", broker_url="nats://ada:url-secret@h1:4222,nats://ada:url-secret@h2:4222", **SECRETS)


def test_no_secret_in_any_printed_form() -> None:
    config = _with_secrets()
    shown = repr(config) + str(config) + f"{config}" + repr(config.__rich_repr__())
    assert "secret'" not in shown
    assert "url-secret" not in shown
    assert "very-" not in shown
    assert "password='***'" in shown
    assert "nats://***@h1:4222,nats://***@h2:4222" in shown
    assert "user='ada'" in shown


def test_rich_prints_no_secret() -> None:
    import io

    from rich.console import Console

    out = io.StringIO()
    Console(file=out, width=200, no_color=True).print(_with_secrets())
    assert "very-" not in out.getvalue()
    assert "url-secret" not in out.getvalue()
    assert "password='***'" in out.getvalue()


@pytest.mark.parametrize("name", sorted(SECRET))
def test_an_error_does_not_repeat_a_secret(name: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_field(name, "hunter2\0", "environment")
    assert "hunter2" not in str(caught.value)


def test_an_error_does_not_repeat_credentials_of_a_url() -> None:
    with pytest.raises(ConfigurationError) as caught:
        read_field("broker_url", "nats://ada:hunter2@host\n", "environment")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("nats://a:b@h:1", "nats://***@h:1"),
        ("nats://token@h", "nats://***@h"),
        ("nats://h:1", "nats://h:1"),
        ("nats://a:p@ss@h", "nats://***@h"),
        ("nats://a:p/ss@h", "nats://***@h"),
        ("embedded:/a@b/c", "embedded:/a@b/c"),
    ],
)
def test_hiding_credentials(url: str, shown: str) -> None:
    assert hide_credentials(url) == shown


def test_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().lease = 1.0  # pyright: ignore[reportAttributeAccessIssue]
