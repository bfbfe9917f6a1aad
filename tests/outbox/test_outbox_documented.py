"""docs/outbox.md is so: its code is the example's, or is run here; with Django and Alembic on real databases."""

from __future__ import annotations

import importlib
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from textwrap import dedent, indent
from urllib.parse import urlsplit

import pytest
from outbox_tools import Place

from naq.cli.app import run as main

ROOT = Path(__file__).parents[2]
DJANGO = Path(__file__).with_name("django_shop.py")
MIGRATION = """from alembic import op
from shop import outbox

revision, down_revision = "1", None


def upgrade() -> None:
    outbox.create_table_sync(op.get_bind())


def downgrade() -> None:
    op.drop_table("naq_outbox")
"""
PYTHON = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_code_that_is_shown_is_run() -> None:
    shown = PYTHON.findall((ROOT / "docs" / "outbox.md").read_text(encoding="utf-8"))
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "examples" / "outbox.py", DJANGO)]
    sources.append(MIGRATION)
    assert len(shown) >= 5
    for block in shown:
        parts = [indent(dedent(block), " " * depth) for depth in (0, 4, 8)]
        assert any(part in source for source in sources for part in parts), block


@pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)
def test_a_django_project_with_an_outbox(place: Place, tmp_path: Path) -> None:
    engine = {"sqlite": "sqlite3", "postgresql": "postgresql"}[place.dialect]
    url = urlsplit(place.url)
    name = str(tmp_path / "shop.db") if place.dialect == "sqlite" else url.path[1:]
    args = [engine, name, url.hostname or "", str(url.port or ""), url.username or "", place.table]
    try:
        done = subprocess.run(
            [sys.executable, str(DJANGO), *args], capture_output=True, text=True, timeout=60, check=False
        )
    finally:
        place.run("DROP TABLE IF EXISTS {table}_orders")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "the card was refused",
        "orders [1, 3]",
        "receipt for order 1",
        "receipt for order 3",
    ]


def test_alembic_makes_and_drops_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The migration as it is shown, up and down."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from sqlalchemy import create_engine, inspect

    (tmp_path / "shop.py").write_text(
        'from naq import Naq\nfrom naq.outbox import Outbox\noutbox = Outbox(Naq("shop", broker_url="memory:"))\n'
    )
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    engine = create_engine(f"sqlite:///{tmp_path}/alembic.db")
    scope: dict[str, object] = {}
    try:
        with engine.begin() as connection, Operations.context(MigrationContext.configure(connection)):
            exec(compile(MIGRATION, "0001.py", "exec"), scope)
            scope["upgrade"]()  # pyright: ignore[reportCallIssue]
            assert inspect(connection).get_table_names() == ["naq_outbox"]
            scope["upgrade"]()  # pyright: ignore[reportCallIssue]
            scope["downgrade"]()  # pyright: ignore[reportCallIssue]
        assert inspect(engine).get_table_names() == []
    finally:
        engine.dispose()
        sys.modules.pop("shop", None)


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """From a table that is missing to a job that is set aside, and back."""
    (tmp_path / "outbox_shop.py").write_text(
        "from naq import Naq\nfrom naq.outbox import Outbox\n"
        'app = Naq("shop", broker_url="embedded:.naq")\noutbox = Outbox(app, "sqlite:///shop.db")\n'
        '@app.task(name="note")\ndef note(text: str) -> str:\n    return text\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    def naq(command: str, *args: str, code: int = 0) -> str:
        ended = main(["outbox", command, *args, *([] if command == "ddl" else ["--app", "outbox_shop:app"])])
        said = capsys.readouterr()
        assert (ended, "\x1b" in said.out + said.err) == (code, False), said
        return said.out + said.err

    assert "create-table" in naq("list", code=2)
    assert "CREATE TABLE" in naq("ddl", "postgresql")
    naq("create-table")
    assert "everything has been sent" in naq("list")
    shop = importlib.import_module("outbox_shop")
    with closing(sqlite3.connect("shop.db")) as database, database:
        stuck, other = (shop.outbox.enqueue_sync(database, shop.note, text).id for text in ("\x1b[31mred", "b"))
        setting = "UPDATE naq_outbox SET stuck_at = 1, reason = ? WHERE job_id = ?"
        database.execute(setting, ("no \x1b[5mgood", stuck))
    assert re.search(rf"{stuck} +stuck .*\n{other} +waiting ", naq("list"))
    assert naq("list", "--stuck", "-q").split() == [stuck]
    assert "no " in naq("show", stuck)
    naq("show", "nobody", code=3)
    naq("retry", code=2)
    assert "not found" in naq("discard", other, "--yes", code=3)
    assert "waiting" in naq("retry", "--all")
    assert "nothing is stuck" in naq("discard", "--all", "--yes")
    assert "has no outbox in other" in naq("list", "--table", "other", code=2)
    sys.modules.pop("outbox_shop")
