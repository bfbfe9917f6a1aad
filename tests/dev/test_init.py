"""``naq init``: what it writes runs, as its containers would run it too, and nothing is destroyed."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from naq.backends.nats.broker.binary import find_binary
from naq.backends.nats.broker.durability import SERVER_FLOOR
from naq.backends.nats.broker.ports import free_ports
from naq.dev.project import SHAPES, TEMPLATES, Kind, Wanted, plan, write
from tests.cli.cli_tools import Naqs
from tests.dev.dev_tools import DEADLINE, clean_env, naq, until

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
KINDS: list[Kind] = list(SHAPES)


def make(kind: Kind, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    write(plan(Wanted(kind, "shop", docker=True, ci=True), folder), folder)
    return folder


def run(command: list[str], folder: Path, **env: str) -> str:
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_env(PATH=path, **env),
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_the_steps_of_its_workflow_succeed(kind: Kind, tmp_path: Path) -> None:
    project = make(kind, tmp_path / "shop")
    workflow: dict[str, Any] = yaml.safe_load((project / ".github/workflows/ci.yml").read_text())
    steps = [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step]
    assert steps[0] == "python -m pip install -r requirements-dev.txt"
    for step in steps[1:]:
        run(shlex.split(step), project)
    run(["ruff", "check", "--isolated", "--select", "E,F,I,UP,B", "--line-length", "120", "."], project)


def test_they_have_no_type_errors(tmp_path: Path) -> None:
    kinds: list[Kind] = ["minimal", "fastapi", "flask"]  # Django itself has no types
    for kind in kinds:
        make(kind, tmp_path / kind)
    settings = {
        "typeCheckingMode": "standard",
        "venvPath": str(BIN.parents[1]),
        "venv": BIN.parent.name,
        "executionEnvironments": [{"root": kind} for kind in kinds],
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    assert "0 errors" in run(["basedpyright"], tmp_path)


@contextmanager
def running(command: list[str], folder: Path, env: dict[str, str]) -> Generator[subprocess.Popen[bytes]]:
    log = folder.parent / f"{Path(command[0]).name}.log"
    with log.open("wb") as out:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out, start_new_session=True)
    try:
        yield process
        process.terminate()
        assert process.wait(DEADLINE) in {0, -15, 143}, log.read_text()
    finally:
        process.kill()
        process.wait()


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ask(port: int, path: str, data: object = None) -> Any:
    body = None if data is None else json.dumps(data).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", body, headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("kind", KINDS)
def test_what_its_containers_run_does_a_job(kind: Kind, tmp_path: Path) -> None:
    """The commands, settings, server configuration and health checks of the compose file, at other places."""
    project = make(kind, tmp_path / "shop")
    client, monitor, web, health = free_ports(4)
    data = tmp_path / "data"
    data.mkdir()
    moved = {
        "4222": client,
        "8222": monitor,
        "8000": web,
        "8081": health,
        "/data": data,
        "nats://nats": "nats://127.0.0.1",
    }

    def here(text: str) -> str:
        for one, other in moved.items():
            text = text.replace(one, str(other))
        return text

    compose: dict[str, Any] = yaml.safe_load(here((project / "compose.yaml").read_text()))
    secrets = dict(line.split("=", 1) for line in (project / ".env").read_text().splitlines())
    (tmp_path / "nats.conf").write_text(here((project / "nats.conf").read_text()).replace("0.0.0.0", "127.0.0.1"))
    environment: dict[str, str] = compose["services"]["worker"]["environment"]
    for name, value in environment.items():
        if value.startswith("${"):
            environment[name] = secrets[name]
            assert value == f"${{{name}:?set it in .env}}"
    env = clean_env(PATH=f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment)
    dockerfile = (project / "Dockerfile").read_text()
    worker: list[str] = json.loads(here(dockerfile.rpartition("CMD ")[2]))

    def is_healthy(service: str) -> bool:
        test = compose["services"][service]["healthcheck"]["test"]
        assert test[0] == "CMD"
        return subprocess.run(test[1:], env=env, capture_output=True, check=False, timeout=DEADLINE).returncode == 0

    with ExitStack() as until_the_end:
        server = [str(find_binary().path), "-c", str(tmp_path / "nats.conf")]
        until_the_end.enter_context(running(server, project, env))
        until(lambda: is_open(client), "the server")
        if "web" in compose["services"]:
            assert compose["services"]["web"]["environment"] == compose["services"]["worker"]["environment"]
            until_the_end.enter_context(running(compose["services"]["web"]["command"], project, env))
            until(lambda: is_healthy("web"), "web")
        until_the_end.enter_context(running(worker, project, env))
        until(lambda: is_healthy("worker"), "worker")
        if kind == "minimal":
            assert run(["python", "main.py"], project, **environment) == "Hello, world!\n"
        else:
            job = ask(web, "/hello", {"name": "Ada"})["job_id"]
            until(lambda: ask(web, f"/jobs/{job}")["state"] == "succeeded", "the job")
            assert ask(web, f"/jobs/{job}")["result"] == "Hello, Ada!"
        if kind == "django":
            assert run(["python", "manage.py", "greet", "Eve"], project, **environment) == "Hello, Eve!\n"
        naq(project, "queues", "list", **{**environment, "NAQ_PASSWORD": "wrong"}, code=5)  # nobody else comes in


@pytest.mark.parametrize("kind", KINDS)
def test_the_compose_file_is_sound(kind: Kind, tmp_path: Path) -> None:
    project = make(kind, tmp_path)
    compose: dict[str, Any] = yaml.safe_load((project / "compose.yaml").read_text())
    services = compose["services"]
    image, _, tag = services["nats"]["image"].partition(":")
    assert image == "nats"
    major, minor = map(int, tag.removesuffix("-alpine").split("."))
    assert (major, minor, 999) >= SERVER_FLOOR
    assert tag.endswith("-alpine")  # the health check needs wget, which the plain image has not
    for service in services.values():
        assert {"healthcheck", "restart"} <= set(service)
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        used = {volume.split(":")[0] for volume in service["volumes"]} - {"./nats.conf"}
        assert used <= set(compose["volumes"])
    assert services["worker"]["depends_on"]["nats"] == {"condition": "service_healthy"}
    assert "@@" not in "".join(path.read_text() for path in project.rglob("*") if path.is_file())
    assert (project / ".env").stat().st_mode & 0o077 == 0
    assert ".env" in (project / ".gitignore").read_text().splitlines()


def test_nothing_is_replaced_without_force(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text("mine = 1\n")
    said = naq(tmp_path, "init", code=4)
    assert "tasks.py" in said
    assert "Nothing was written" in said
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.py"]
    shown = naq(tmp_path, "init", "--dry-run")
    assert "in the way" in shown
    assert "would be created" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["tasks.py"]
    naq(tmp_path, "init", "--force")
    assert 'Naq("' in (tmp_path / "tasks.py").read_text()


def test_settings_and_lists_that_exist_get_what_they_lack(tmp_path: Path) -> None:
    given = {
        "pyproject.toml": '[project]\nname = "mine"\n\n[tool.pytest.ini_options]\naddopts = "-q"',
        ".gitignore": "/.naq\n.venv",
        "requirements.txt": "Flask==3.1.0  # pinned\n",
        ".env": "export NAQ_PASSWORD=mine\n",
    }
    for name, text in given.items():
        (tmp_path / name).write_text(text)
    said = json.loads(
        run([*shlex.split(f"{sys.executable} -m naq"), "init", "--template", "flask", "--docker", "--json"], tmp_path)
    )
    assert {each["id"] for each in said if each["outcome"] == "extended"} == set(given) - {".env"}
    texts = {name: (tmp_path / name).read_text() for name in given}
    assert all(texts[name].startswith(text) for name, text in given.items())
    assert texts["pyproject.toml"].count("[tool.pytest.ini_options]") == 1
    assert '[tool.naq]\napp = "tasks:app"' in texts["pyproject.toml"]
    assert texts[".gitignore"].splitlines() == ["/.naq", ".venv", "__pycache__/", ".env"]
    assert "\nFlask\n" not in texts["requirements.txt"]
    assert "naq" in texts["requirements.txt"].splitlines()
    again = json.loads(
        run([*shlex.split(f"{sys.executable} -m naq"), "init", "--template", "flask", "--docker", "--json"], tmp_path)
    )
    assert {each["outcome"] for each in again} == {"unchanged"}


def test_on_a_terminal_it_asks_for_what_was_not_said(tmp_path: Path) -> None:
    at = Naqs("nats://127.0.0.1:1", tmp_path)
    code, text = at.on_terminal("init", "shop", "--ci", typed="rails\nfastapi\ny\n")
    assert code == 0, text
    assert "'rails' is none of them" in text
    assert "GitHub" not in text  # said already
    assert (tmp_path / "shop" / "compose.yaml").exists()
    assert "uvicorn" in (tmp_path / "shop" / "requirements.txt").read_text()
    assert 'Naq("shop")' in (tmp_path / "shop" / "tasks.py").read_text()
    code, text = at.on_terminal("init", "other", typed="\x04")
    assert code == 2, text
    assert not (tmp_path / "other").exists()


def test_the_wheel_carries_every_template(tmp_path: Path) -> None:
    run(["python", "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], ROOT)
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        shipped = {name for name in wheel.namelist() if "/dev/templates/" in name}
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", str(TEMPLATES)], ROOT).splitlines()
    assert shipped == {name.removeprefix("src/") for name in listed}
