"""From ``module:app`` to the app, and what is said where there is none."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from naq import Naq
from naq.exceptions import ConfigurationError
from naq.worker.loader import load_app

APP = "from naq import Naq\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what is imported from it is forgotten again."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_module_and_attribute(project: Path) -> None:
    (project / "jobs_a.py").write_text(f"{APP}app = Naq('a')\nclass box: inner = Naq('b')\n")
    assert load_app("jobs_a:app").name == "a"
    assert load_app("jobs_a:box.inner").name == "b"


def test_a_module_with_one_app_needs_no_attribute(project: Path) -> None:
    (project / "jobs_b.py").write_text(f"{APP}queue = again = Naq('only')\n")
    assert load_app("jobs_b").name == "only"


def test_files_and_packages(project: Path) -> None:
    (project / "pkg").mkdir()
    (project / "pkg" / "__init__.py").write_text("")
    (project / "pkg" / "jobs.py").write_text(f"{APP}app = Naq('packed')\n")
    assert load_app("pkg/jobs.py:app") is load_app("pkg.jobs:app")
    elsewhere = project.parent / f"{project.name}-elsewhere"
    elsewhere.mkdir()
    (elsewhere / "far_away.py").write_text(f"{APP}app = Naq('far')\n")
    assert load_app(f"{elsewhere}/far_away.py").name == "far"
    assert isinstance(load_app(f"{elsewhere}/far_away.py:app"), Naq)


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("", "names no app"),
        (":app", "names no app"),
        ("jobs_c:", "names no app"),
        ("jobz_c:app", "there is no module 'jobz_c'"),
        ("jobz_c:app", "did you mean 'jobs_c'"),
        ("jobs_c.missing:app", "there is no module 'jobs_c.missing'"),
        ("jobs_c:ap", "did you mean 'app'"),
        ("jobs_c:number", "is a int, not a Naq app"),
        ("jobs_c:Naq", "is a type, not a Naq app"),
        ("jobs_c", "several apps; say which: jobs_c:app or jobs_c:other"),
        ("empty", "holds no app; make one with app = Naq('empty')"),
        ("empty:app", "has no 'app'; it holds no app either"),
        ("jobz_c.py", "there is no file 'jobz_c.py'"),
        ("jobz_c.py", "did you mean 'jobs_c.py'"),
        ("needs_more:app", "No module named 'not_installed_here'"),
        ("needs_more:app", "needs_more.py, line 2"),
        ("raises:app", "ZeroDivisionError"),
        ("raises:app", "raises.py, line 3"),
        ("unfinished:app", "SyntaxError"),
        ("unfinished:app", "unfinished.py, line 2"),
        ("script:app", "SystemExit"),
        ("misconfigured:app", "concurency"),
        ("misconfigured:app", "misconfigured.py, line 2"),
    ],
)
def test_what_is_said(project: Path, target: str, said: str) -> None:
    (project / "jobs_c.py").write_text(f"{APP}app = Naq('a')\nother = Naq('b')\nnumber = 1\n")
    (project / "empty.py").write_text("")
    (project / "needs_more.py").write_text("import sys\nimport not_installed_here\n")
    (project / "raises.py").write_text("def f():\n    # here\n    return 1 / 0\nf()\n")
    (project / "unfinished.py").write_text("x = 1\ndef f(:\n")
    (project / "script.py").write_text("import sys\nsys.exit(3)\n")
    (project / "misconfigured.py").write_text(f"{APP}app = Naq('a', concurency=3)\n")
    with pytest.raises(ConfigurationError) as caught:
        load_app(target)
    assert said in str(caught.value)
