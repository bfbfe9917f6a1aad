"""Rules, channels, incidents and marks from a terminal: what is kept, what is refused, and what is never shown."""

from __future__ import annotations

import io
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from alert_tools import Hook

from naq.cli.app import run

URL = "https://hooks.example.org/services/T0/B0/s3cr3t"


class Said(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Naq = Callable[..., Said]


@pytest.fixture
def naq(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Naq:
    """The command line in this process, on a database of its own; `stdin` is what is piped in."""
    monkeypatch.setenv("NAQ_SERVER_DATABASE", f"sqlite:///{tmp_path}/s.db")
    monkeypatch.setenv("NAQ_SERVER_WEBHOOK_ALLOW", "127.0.0.1")
    monkeypatch.chdir(tmp_path)

    def do(*args: str, stdin: str = "", **environment: str) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", io.StringIO(stdin))
            for name, value in environment.items():
                patch.setenv(name, value)
            code = run(args)
        out, err = capsys.readouterr()
        return Said(code, out, err)

    return do


def test_a_channel_is_made_changed_tried_and_removed(naq: Naq) -> None:
    with Hook() as hook:
        made = naq("channels", "create", "ops", CHANNEL_URL=hook.url)
        assert made.code == 0, made.err
        assert made.out.startswith("whsec_"), "what receivers check is printed once"
        assert naq("channels", "create", "ops", CHANNEL_URL=hook.url).code == 4
        tried = naq("alerts", "test", "ops")
        assert (tried.code, "sent: 200" in tried.out) == (0, True), tried.err
        first = hook.got[-1][0]["webhook-signature"]
        other = naq("channels", "rotate", "ops", "--json").json
        assert other["secret"] not in {made.out.strip(), None}
        naq("alerts", "test", "ops")
        assert hook.got[-1][0]["webhook-signature"] != first
        assert naq("alerts", "edit", "old-jobs", "--channel", "ops", "--at-most-every", "5m").code == 0
        refused = naq("channels", "delete", "ops")
        assert (refused.code, "old-jobs would tell nobody" in refused.err) == (4, True)
        assert naq("channels", "edit", "ops", "--no-on").code == 0
        [shown] = naq("channels", "list", "--json").json
        assert (shown["host"], shown["enabled"], shown["rules"]) == (hook.url.split("/")[2], False, ["old-jobs"])
        assert "failed: it is off" in naq("alerts", "test", "ops").out
    assert naq("alerts", "edit", "old-jobs", "--silent").code == 0
    assert naq("channels", "delete", "ops").code == 0
    assert naq("channels", "list", "--json").json == []


def test_secrets_are_read_and_shown_nowhere(naq: Naq) -> None:
    said = [
        naq("channels", "create", "chat", "--form", "slack", stdin=f"{URL}\n"),
        naq("channels", "create", "page", "--form", "pagerduty", CHANNEL_URL=URL,
            CHANNEL_KEY="R0UTINGKEY"),
        naq("channels", "edit", "page", "--key", CHANNEL_KEY="0THERR0UTINGKEY"),
        naq("channels", "edit", "chat", "--url", stdin=f"{URL}2\n"),
        naq("channels", "list"), naq("channels", "list", "--json"),
        naq("channels", "create", "bad", CHANNEL_URL="https://ann:s3cr3t@example.org/"),
        naq("channels", "create", "bad", CHANNEL_URL="ftp://example.org/s3cr3t"),
    ]  # fmt: skip
    assert [one.code for one in said] == [0, 0, 0, 0, 0, 0, 2, 2]
    for one in said:
        for secret in ("s3cr3t", "R0UTINGKEY"):
            assert secret not in one.out + one.err
    assert "hooks.example.org" in said[4].out


@pytest.mark.parametrize(
    ("args", "code", "why"),
    [
        (("channels", "create", "x", "--email", "nobody"), 2, "no e-mail address"),
        (("channels", "create", "x", "--email", "a@b.c", "--form", "slack"), 2, "neither a URL, a form nor a key"),
        (("channels", "create", "x"), 2, "set CHANNEL_URL, or pipe it in"),
        (("channels", "create", "x y", "--email", "a@b.c"), 2, "x y"),
        (("channels", "edit", "none", "--on"), 3, "no channel 'none'"),
        (("channels", "edit", "none"), 2, "nothing to change"),
        (("channels", "rotate", "none"), 3, "no channel 'none'"),
        (("channels", "delete", "none"), 3, "no channel 'none'"),
        (("edit", "old-jobs", "--channel", "none"), 3, "no channel 'none'"),
        (("edit", "failing-tasks", "--threshold", "20"), 2, "a share is from 0 to 1"),
        (("edit", "none", "--threshold", "20"), 3, "no alert rule 'none'"),
        (("edit", "old-jobs", "--window", "1s"), 2, "give 1m to 1d"),
        (("edit", "old-jobs"), 2, "nothing to change"),
        (("delete", "none"), 3, "no alert rule 'none'"),
        (("acknowledge", "none"), 3, "no incident 'none'"),
        (("resolve", "none"), 3, "no incident 'none'"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(naq: Naq, args: tuple[str, ...], code: int, why: str) -> None:
    said = naq(*args) if args[0] == "channels" else naq("alerts", *args)
    assert (said.code, why in said.err) == (code, True), said.err


def test_rules_are_changed_and_removed(naq: Naq) -> None:
    assert naq("channels", "create", "people", "--email", "ann@example.org").code == 0
    assert (
        naq("alerts", "edit", "failing-tasks", "--threshold", "0.1", "--channel", "people", "--window", "10m").code == 0
    )
    assert naq("alerts", "edit", "new-errors", "--no-on").code == 0
    rules = {one["name"]: one for one in naq("alerts", "list", "--json").json}
    changed = rules["failing-tasks"]
    assert (changed["threshold"], changed["channels"], "600 s" in changed["sentence"]) == (0.1, ["people"], True)
    assert rules["new-errors"]["state"] == "off"
    assert naq("alerts", "delete", "new-errors").code == 0
    assert "new-errors" not in naq("alerts", "list", "-q").out.split()


def test_a_deploy_is_marked_listed_and_removed(naq: Naq) -> None:
    made = naq("mark", "prices in cents", "--version", "1.4.2", "--url", "https://git.example.org/1.4.2", "--json")
    assert made.code == 0, made.err
    [done] = made.json
    assert naq("mark", "--version", "1.4.1", "--at", "2020-01-01T00:00").code == 2
    assert naq("mark").code == 2
    assert naq("mark", "x", "--url", "javascript:x").code == 2
    [line] = naq("marks", "list", "--json").json
    assert (line["id"], line["kind"], line["title"], line["version"]) == (
        done["id"],
        "deploy",
        "prices in cents",
        "1.4.2",
    )
    assert naq("marks", "remove", line["id"]).code == 0
    assert naq("marks", "remove", line["id"]).code == 3
    assert naq("marks", "list", "-q").out == ""


def test_what_a_terminal_changes_is_in_the_audit_log(naq: Naq, tmp_path: Path) -> None:
    for args, code in (
        (("channels", "create", "ops", "--email", "ann@example.org"), 0),
        (("channels", "create", "ops", "--email", "ann@example.org"), 4),
        (("alerts", "edit", "failing-tasks", "--threshold", "0.3"), 0),
        (("alerts", "edit", "failing-tasks", "--threshold", "3"), 2),
        (("mark", "v2"), 0),
        (("channels", "delete", "ops"), 0),
    ):
        done = naq(*args)
        assert done.code == code, (args, done)
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        found = [action for (action,) in database.execute("SELECT action FROM audit ORDER BY at, id")]
    assert found == ["createAlertChannel", "editAlertRule", "createMark", "deleteAlertChannel"]
