"""Apps: their settings, and the registry of tasks."""

from pathlib import Path
from typing import Any

import pytest

from naq import ConfigurationError, Naq, UnknownTask


def make(**settings: Any) -> Naq:
    return Naq("shop", broker_url="memory:", **settings)


def charge(amount: int) -> float:
    return float(amount)


async def remind(to: str) -> None:
    del to


def test_the_namespace_is_the_name_unless_a_setting_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make().config.namespace == "shop"
    assert Naq(broker_url="memory:").config.namespace == "default"
    assert make(namespace="other").config.namespace == "other"
    monkeypatch.setenv("NAQ_NAMESPACE", "env")
    assert make().config.namespace == "env"


def test_settings_are_read_from_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.naq]\nbroker_url = "memory:file"\n', encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert Naq("shop").config.broker_url == "memory:file"


@pytest.mark.parametrize("name", ["", "a b", "a.b", "*", ">", "a\r\nb", "a\0b", "x" * 4096, 5, None])
def test_hostile_app_names(name: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"app .* is not allowed"):
        Naq(name, broker_url="memory:")


def test_unknown_settings() -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'concurrency'"):
        make(concurency=5)


def test_tasks_are_found_by_name_and_the_registry_is_read_only() -> None:
    app = make()
    tasks = app.tasks
    charge_task = app.task(charge)
    remind_task = app.task(name="remind")(remind)
    assert dict(tasks) == {f"{__name__}.charge": charge_task, "remind": remind_task}
    assert app.get_task("remind") is remind_task
    assert (charge_task.is_async, remind_task.is_async) == (False, True)
    with pytest.raises(TypeError):
        tasks["x"] = charge_task  # pyright: ignore[reportIndexIssue]
    assert repr(app) == "<Naq 'shop': 2 tasks>"


def test_an_unknown_task_says_what_is_near() -> None:
    app = make()
    app.task(name="mail.send")(remind)
    with pytest.raises(UnknownTask, match=r"has no task 'mail.snd'; did you mean 'mail.send'\?"):
        app.get_task("mail.snd")
    with pytest.raises(UnknownTask, match="there are none"):
        make().get_task("anything")


def test_two_tasks_of_one_name_are_refused() -> None:
    app = make()
    app.task(charge)
    with pytest.raises(ConfigurationError, match=r"two tasks '.*charge'"):
        app.task(charge)
    with pytest.raises(ConfigurationError, match="name one of them"):
        app.task(name=f"{__name__}.charge")(remind)
    assert len(app.tasks) == 1


def test_a_task_is_no_function_to_register_again() -> None:
    app = make()
    task: Any = app.task(charge)
    with pytest.raises(ConfigurationError, match="is a task already"):
        app.task(task)


@pytest.mark.parametrize("wrong", ["mail", 5, b"x", [remind]])
def test_options_are_keywords(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match="options are keywords"):
        make().task(wrong)


def test_job_ids_are_checked_before_anything_is_asked() -> None:
    with pytest.raises(ConfigurationError, match="job id"):
        make().job("a.b")
    assert make().job("a-b").id == "a-b"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("localhost:4222", "no backend 'localhost'"),
        ("127.0.0.1:4222", "has no scheme"),
        ("nats", "has no scheme"),
        ("natz://h", "did you mean 'nats'"),
        ("//ada:hunter2@h", "has no scheme"),
    ],
)
def test_a_broker_url_that_names_no_backend(url: str, says: str) -> None:
    app = Naq("shop", broker_url=url)
    with pytest.raises(ConfigurationError, match=says) as caught:
        _ = app.backend
    assert "hunter2" not in str(caught.value)
