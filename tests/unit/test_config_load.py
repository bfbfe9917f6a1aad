"""Where settings come from, and which source wins."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naq.config import load_config, suggest
from naq.config.fields import KINDS
from naq.config.load import given_settings, load_from, problems
from naq.config.old_names import GONE, RENAMED
from naq.config.suggest import hint
from naq.exceptions import ConfigurationError


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder as the working directory, and no NAQ_ variable set."""
    import os

    for name in [name for name in os.environ if name.startswith("NAQ_")]:
        monkeypatch.delenv(name)
    (tmp_path / "pyproject.toml").write_text("", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, table: str) -> None:
    (folder / "pyproject.toml").write_text(f"[tool.naq]\n{table}", encoding="utf-8")


def test_each_source_wins_over_the_one_below(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_config().lease == 30.0
    assert load_from({}, defaults={"namespace": "app"}).namespace == "app"
    write(alone, 'lease = "1m"\nnamespace = "file"')
    assert load_config().lease == 60.0
    assert load_from({}, defaults={"namespace": "app"}).namespace == "file"
    monkeypatch.setenv("NAQ_LEASE", "90s")
    assert load_config().lease == 90.0
    assert load_config(lease=120).lease == 120.0


def test_nothing_is_cached(alone: Path) -> None:
    assert load_config().concurrency == 20
    write(alone, "concurrency = 7")
    assert load_config().concurrency == 7


def test_the_nearest_pyproject_upwards_is_the_one(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(alone, "concurrency = 7")
    deep = alone / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert load_config().concurrency == 7
    (alone / "a" / "pyproject.toml").write_text("[project]\nname = 'other'\n", encoding="utf-8")
    assert load_config().concurrency == 20


def test_every_kind_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_BROKER_URL", "memory:")
    monkeypatch.setenv("NAQ_CONCURRENCY", "3")
    monkeypatch.setenv("NAQ_RECORD_TTL", "1d")
    monkeypatch.setenv("NAQ_IMPORTS", "shop.tasks,shop.mail")
    monkeypatch.setenv("NAQ_DURABILITY", "strict")
    config = load_config()
    assert (config.broker_url, config.concurrency, config.record_ttl) == ("memory:", 3, 86400.0)
    assert (config.imports, config.durability) == (("shop.tasks", "shop.mail"), "strict")


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_LEASE", "")
    assert load_config().lease == 30.0


def test_fault_points_are_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_FAULT", "run.mid_task:kill")
    load_config()


def test_an_unknown_variable_is_an_error_with_the_near_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAQ_BROKERURL", "memory:")
    with pytest.raises(ConfigurationError, match=r"environment: .*'NAQ_BROKERURL'; did you mean 'NAQ_BROKER_URL'\?"):
        load_config()


def test_an_unknown_key_is_an_error_with_its_file(alone: Path) -> None:
    write(alone, "concurency = 7")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml \[tool\.naq\]: .*did you mean 'concurrency'\?"):
        load_config()


def test_an_unknown_argument_is_an_error() -> None:
    arguments: dict[str, Any] = {"broker": "memory:"}
    with pytest.raises(ConfigurationError, match="argument: there is no setting 'broker'; did you mean 'broker_url'"):
        load_config(**arguments)


@pytest.mark.parametrize(("old", "now"), RENAMED.items())
def test_who_comes_from_naq_before_is_told_the_new_name(old: str, now: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert old not in KINDS
    assert now in KINDS
    monkeypatch.setenv(f"NAQ_{old.upper()}", "1")
    with pytest.raises(ConfigurationError, match=f"'NAQ_{old.upper()}'; it is called NAQ_{now.upper()} now"):
        load_config()
    monkeypatch.delenv(f"NAQ_{old.upper()}")
    with pytest.raises(ConfigurationError, match=f"'{old}'; it is called {now} now"):
        load_config(**{old: "1"})  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("old", GONE)
def test_or_what_to_do_instead(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"NAQ_{old.upper()}", "1")
    with pytest.raises(ConfigurationError, match=f"'NAQ_{old.upper()}'; .*(naq.Queue|naq worker)"):
        load_config()


def test_an_invalid_value_names_source_value_and_expectation(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(alone, "lease = true")
    with pytest.raises(
        ConfigurationError, match=r"pyproject\.toml \[tool\.naq\] lease: True is not a lease; expected sec"
    ):
        load_config()
    write(alone, "")
    monkeypatch.setenv("NAQ_LEASE", "soon")
    with pytest.raises(ConfigurationError, match="environment NAQ_LEASE: 'soon' is not a lease; expected seconds"):
        load_config()
    monkeypatch.delenv("NAQ_LEASE")
    with pytest.raises(ConfigurationError, match="argument lease: 'soon'"):
        load_config(lease="soon")


def test_a_broken_file_is_named(alone: Path) -> None:
    (alone / "pyproject.toml").write_text("[tool.naq\nlease = 1", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"pyproject\.toml is not valid TOML"):
        load_config()
    (alone / "pyproject.toml").write_bytes(b"naq = '\xff'")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_config()
    (alone / "pyproject.toml").write_text("[tool]\nnaq = 5", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="must be a table"):
        load_config()


def test_a_removed_working_directory_is_no_project(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = alone / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert load_config().lease == 30.0
    monkeypatch.chdir(alone)


def test_suggestions() -> None:
    assert suggest("que", ["queue", "timeout"]) == "queue"
    assert suggest("QUEUE", ["queue", "timeout"]) == "queue"
    assert suggest("xyz", ["queue", "timeout"]) is None
    assert hint("xyz", ["b", "a"]) == "there are a, b"
    assert hint("xyz", []) == "there are none"
    assert hint("qqqq", [f"n{i:02}" for i in range(20)]).endswith("and 8 more")


@given(st.text(max_size=300), st.lists(st.text(max_size=20), max_size=5))
def test_a_suggestion_is_always_one_of_the_known(name: str, known: list[str]) -> None:
    assert suggest(name, known) in {*known, None}


PROFILES = 'lease = "1m"\n[tool.naq.profiles.prod]\nlease = "2m"\nnamespace = "live"\n[tool.naq.profiles.test]\n'


def test_a_profile_wins_over_the_table_around_it(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(alone, PROFILES)
    assert load_config().lease == 60.0
    monkeypatch.setenv("NAQ_PROFILE", "test")
    assert load_config().lease == 60.0
    monkeypatch.setenv("NAQ_PROFILE", "prod")
    assert (load_config().lease, load_config().namespace) == (120.0, "live")
    assert given_settings({})["lease"][0].endswith("pyproject.toml [tool.naq.profiles.prod]")
    monkeypatch.setenv("NAQ_LEASE", "90s")
    assert load_config().lease == 90.0
    assert load_config(lease=10).lease == 10.0


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (PROFILES, "no [tool.naq.profiles.prd]; did you mean 'prod'?"),
        ("profiles = 1", "must hold a table for each profile"),
        ("[tool.naq.profiles]\nprd = 1", "profile prd must be a table"),
        ("", "there are none"),
        ("[tool.naq.profiles.prd]\nlese = 1", "[tool.naq.profiles.prd]: there is no setting 'lese'; did you mean"),
    ],
)
def test_a_profile_that_is_none(alone: Path, monkeypatch: pytest.MonkeyPatch, table: str, said: str) -> None:
    write(alone, table)
    monkeypatch.setenv("NAQ_PROFILE", "prd")
    with pytest.raises(ConfigurationError) as caught:
        load_config()
    assert said in str(caught.value)


def test_a_profile_without_a_project(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (alone / "pyproject.toml").unlink()
    monkeypatch.setenv("NAQ_PROFILE", "prod")
    with pytest.raises(ConfigurationError, match="asks for the profile 'prod'"):
        load_config()


def test_every_problem_is_named(alone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(alone, 'lease = "soon"\nconcurency = 3\n')
    monkeypatch.setenv("NAQ_MAX_PAYLOAD", "much")
    found = problems({"namespace": "a b"})
    assert len(found) == 4
    for text in ("seconds, more than 0", "did you mean 'concurrency'?", "NAQ_MAX_PAYLOAD", "letters, digits"):
        assert any(text in each for each in found), text


def test_a_setting_of_the_server_is_no_argument_of_an_app() -> None:
    """It would do nothing there."""
    with pytest.raises(
        ConfigurationError, match=r"argument server_port: it is a setting of the server.*NAQ_SERVER_PORT"
    ):
        load_from({"server_port": 8000})
