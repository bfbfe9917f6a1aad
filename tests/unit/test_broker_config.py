"""The server configuration we generate, and what the durability modes ask for."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.config import (
    GIB,
    MAX_FILE_STORE,
    MIB,
    MIN_FILE_STORE,
    Cluster,
    ServerConfig,
    file_store_limit,
    quote,
    render,
)
from naq.backends.nats.broker.durability import MODES, check_broker, get_mode, parse_version
from naq.exceptions import ConfigurationError

BASE = ServerConfig(server_name="n1", store_dir=Path("/data/jetstream"), max_file_store=10 * GIB, port=4222)
CLUSTER = Cluster(name="c", port=6222, routes=("127.0.0.1:6222", "127.0.0.1:6223"))


def check_with_server(text: str, folder: Path) -> None:
    """The real server reads the configuration and finds nothing wrong with it."""
    file = folder / "nats.conf"
    file.write_text(text, encoding="utf-8")
    said = subprocess.run(
        [find_binary().path, "-t", "-c", file], capture_output=True, text=True, check=False, timeout=20
    )
    assert said.returncode == 0, said.stderr


def test_what_is_written_for_one_server() -> None:
    assert render(BASE).splitlines()[1:] == [
        'server_name: "n1"',
        'listen: "127.0.0.1:4222"',
        'http: "127.0.0.1:-1"',
        "max_payload: 8388608",
        'write_deadline: "10s"',
        "jetstream {",
        '  store_dir: "/data/jetstream"',
        '  sync_interval: "250ms"',
        "  max_file_store: 10737418240",
        "  max_memory_store: 268435456",
        "}",
    ]


@pytest.mark.parametrize(
    ("durability", "interval"),
    [("standard", "250ms"), ("strict", "always"), ("replicated", "250ms"), ("replicated-strict", "always")],
)
def test_each_mode_is_accepted_by_the_server(durability: str, interval: str, tmp_path: Path) -> None:
    config = msgspec.structs.replace(
        BASE,
        durability=durability,
        store_dir=tmp_path / "js",
        cluster=CLUSTER if durability.startswith("replicated") else None,
        ports_file_dir=tmp_path,
    )
    text = render(config)
    assert f'sync_interval: "{interval}"' in text
    assert ("cluster {" in text) == durability.startswith("replicated")
    check_with_server(text, tmp_path)


@given(
    user=st.text(min_size=1, max_size=30),
    password=st.text(min_size=1, max_size=30),
    folder=st.text(st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=30),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_value_escapes_its_quotes(user: str, password: str, folder: str, tmp_path: Path) -> None:
    assume("\0" not in user + password)
    config = msgspec.structs.replace(BASE, user=user, password=password, store_dir=Path("/data") / folder)
    text = render(config)
    # Only the quotes that we wrote are left when escapes are taken out, two a quoted value.
    bare = re.sub(r"\\.", "", text)
    assert all(line.count('"') in {0, 2} for line in bare.split("\n"))
    check_with_server(text, tmp_path)


def test_secrets_are_not_shown() -> None:
    config = msgspec.structs.replace(BASE, user="anna", password="hunter2")
    assert "hunter2" not in repr(config)
    assert 'password: "hunter2"' in render(config)


@pytest.mark.parametrize("text", ["a\0b", "lone \ud800"])
def test_text_that_no_file_can_hold_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be written"):
        quote(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"durability": "replicated"}, "keeps 3 copies"),
        ({"durability": "safe"}, "'standard', 'strict'|standard, strict"),
        ({"server_name": "two words"}, "white space"),
        ({"server_name": ""}, "white space"),
        ({"user": "anna"}, "give both or none"),
        ({"password": "x"}, "give both or none"),
        ({"token": "t", "user": "anna", "password": "x"}, "not both"),
        ({"max_file_store": 0}, "max_file_store is 0"),
        ({"max_payload": -1}, "max_payload is -1"),
    ],
)
def test_contradictions_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        render(msgspec.structs.replace(BASE, **change))


def test_the_store_may_take_nine_tenths_of_what_the_disk_may_give() -> None:
    assert file_store_limit(free=100 * GIB) == 90 * GIB
    assert file_store_limit(free=40 * GIB, used=60 * GIB) == 90 * GIB


def test_the_store_limit_has_a_floor_and_a_ceiling() -> None:
    assert file_store_limit(free=1 * MIB) == MIN_FILE_STORE
    assert file_store_limit(free=2**60) == MAX_FILE_STORE


@given(free=st.integers(0, 2**62), used=st.integers(0, 2**50))
def test_a_store_is_never_over_its_limit_when_the_server_starts(free: int, used: int) -> None:
    assume(free >= used)  # a disk more than half full of jobs may need an operator anyway
    assert file_store_limit(free=free, used=used) >= used


def test_modes_say_how_many_copies_and_how_often_to_sync() -> None:
    facts = {name: (mode.replicas, mode.sync_setting, mode.atomic_batches) for name, mode in MODES.items()}
    assert facts == {
        "standard": (1, "250ms", False),
        "strict": (1, "always", True),
        "replicated": (3, "250ms", False),
        "replicated-strict": (3, "always", False),
    }


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("nats-server: v2.15.1\n", (2, 15, 1)),
        ("2.14.2", (2, 14, 2)),
        ("2.15.0-dev", (2, 15, 0)),
        ("v2.16.0-RC.1", (2, 16, 0)),
    ],
)
def test_versions_are_read(text: str, version: tuple[int, int, int]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize("text", ["", "v2.15", "nats-server: vx.y.z", "2.15.1.4", "²..1"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no version"):
        parse_version(text)


def test_a_broker_that_fits_gives_no_finding() -> None:
    assert check_broker(get_mode("standard"), version=(2, 14, 2), servers=1, sync_interval=0.25) == []
    assert check_broker(get_mode("replicated-strict"), version=(2, 15, 1), servers=3, sync_interval=0) == []
    assert check_broker(get_mode("strict"), version=(2, 15, 1)) == []


@pytest.mark.parametrize(
    ("mode", "version", "servers", "interval", "fatal", "message"),
    [
        ("standard", (2, 14, 1), 1, 0.25, True, "2.14.2 or later"),
        ("replicated-strict", (2, 14, 9), 3, 0.0, True, "2.15.0 or later"),
        ("replicated", (2, 15, 1), 1, 0.25, True, "run 3 in a cluster"),
        ("strict", (2, 15, 1), 1, 0.25, True, "nothing acknowledged"),
        ("standard", (2, 15, 1), 1, 120.0, False, "'250ms'"),
    ],
)
def test_a_broker_that_does_not_fit_is_told_what_to_change(
    mode: str, version: tuple[int, int, int], servers: int, interval: float, fatal: bool, message: str
) -> None:
    (finding,) = check_broker(get_mode(mode), version=version, servers=servers, sync_interval=interval)
    assert finding.fatal is fatal
    assert message in finding.message


def test_the_documented_configuration_is_the_one_we_write(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs" / "broker.md").read_text(encoding="utf-8")
    first, second = re.findall(r"^```\n((?:server_name|cluster).*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    ports = {"host": "0.0.0.0", "port": 4222, "monitor_port": 8222}
    written = render(msgspec.structs.replace(BASE, **ports, max_file_store=file_store_limit(free=10 * GIB)))
    assert first == written.partition("\n")[2]
    routes = tuple(f"n{number}:6222" for number in (1, 2, 3))
    clustered = msgspec.structs.replace(
        BASE,
        cluster=Cluster(name="naq", host="0.0.0.0", port=6222, routes=routes),
        user="naq",
        password="...",
    )
    assert render(clustered).endswith(second)
    check_with_server(first.replace("/data", str(tmp_path)), tmp_path)
