"""Messages over TLS, to real servers: sent to whose certificate is good, and to no other; passwords never in clear."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.smtp import AuthResult, LoginPassword
from alert_tools import Hook, mailbox

from naq.config.server import ServerConfig
from naq.exceptions import ConfigurationError
from naq.server.alerts.courier import attempt, make_delivery
from naq.server.alerts.rows import Channel, Delivery
from naq.server.alerts.trust import trust_of
from naq.server.alerts.webhook import make_secret


class Authority:
    """Whose certificates are believed in these tests, by a file."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.file = str(folder / "ca.pem")
        self._ca.cert_pem.write_to_path(self.file)

    def server(self, *names: str, **how: Any) -> ssl.SSLContext:
        """What a server of these names shows."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        shown = self._ca.issue_cert(*names, **how).private_key_and_cert_chain_pem
        with shown.tempfile() as file:
            context.load_cert_chain(file)
        return context


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("ca"))


def settings(authority: Authority | None, **how: Any) -> ServerConfig:
    given: dict[str, Any] = {"webhook_allow": ("127.0.0.1",), "webhook_timeout": 5.0, "smtp_timeout": 5.0, **how}
    return ServerConfig(**given, ca_file="" if authority is None else authority.file)


def send(how: ServerConfig, channel: Channel) -> Delivery:
    return asyncio.run(attempt(how, channel, make_delivery(how, channel.name, None, "test")))


def test_a_webhook_over_https_is_signed_and_sent_where_the_certificate_is_good(authority: Authority) -> None:
    secret = make_secret()
    with Hook(authority.server("localhost", "127.0.0.1")) as hook:
        for host in ("127.0.0.1", "localhost"):
            url = f"https://{host}:{hook.port}/hook"
            done = send(settings(authority), Channel(name="ops", kind="webhook", url=url, secret=secret))
            assert (done.state, done.answer) == ("sent", "200 noted")
    assert [headers["host"] for headers, _ in hook.got] == [f"127.0.0.1:{hook.port}", f"localhost:{hook.port}"]
    headers, body = hook.got[0]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()}"
    assert json.loads(body)["type"] == "alert.test"


@pytest.mark.parametrize(
    ("names", "believed", "how", "why"),
    [
        (("127.0.0.1",), False, {}, "unable to get local issuer certificate"),
        (("example.org",), True, {}, "IP address mismatch"),
        (("127.0.0.1",), True, {"not_after": datetime.now(UTC) - timedelta(days=1)}, "certificate has expired"),
    ],
    ids=["of nobody we know", "of another host", "of yesterday"],
)
def test_a_wrong_certificate_gets_nothing_and_that_is_said(
    authority: Authority, names: tuple[str, ...], believed: bool, how: dict[str, Any], why: str
) -> None:
    with Hook(authority.server(*names, **how)) as hook:
        channel = Channel(name="ops", kind="webhook", url=hook.url, secret=make_secret())
        done = send(settings(authority if believed else None), channel)
    assert (done.state, why in done.answer) == ("waiting", True), done.answer  # it may be mended: it is tried again
    assert hook.got == []


def test_what_is_no_tls_is_said(authority: Authority) -> None:
    with Hook() as hook:
        url = f"https://127.0.0.1:{hook.port}/"
        done = send(settings(authority), Channel(name="ops", kind="webhook", url=url, secret=make_secret()))
    assert done.state == "waiting"
    assert "SSL" in done.answer


def test_a_file_of_authorities_that_is_none_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    with pytest.raises(ConfigurationError, match="holds no certificate"):
        trust_of(str(tmp_path / "empty.pem"))
    with pytest.raises(ConfigurationError, match="No such file"):
        trust_of(str(tmp_path / "none.pem"))


class Doorman:
    """Who may log in at a mail server; what was tried is in `tried`."""

    def __init__(self) -> None:
        self.tried: list[tuple[bytes, bytes]] = []

    def __call__(self, _server: Any, _session: Any, _envelope: Any, _how: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.tried.append((data.login, data.password))
        return AuthResult(success=data.password == b"s3cr3t", handled=False)


MAIL = Channel(name="people", kind="email", addresses=("ann@example.org",))


@pytest.fixture
def doorman() -> Doorman:
    return Doorman()


def mail(authority: Authority | None, port: int, **how: Any) -> Delivery:
    given = {"smtp_host": "127.0.0.1", "smtp_port": port, "smtp_from": "naq@example.org", **how}
    return send(settings(authority, **given), MAIL)


def test_mail_goes_out_by_starttls_with_a_login(authority: Authority, doorman: Doorman) -> None:
    how: dict[str, Any] = {"smtp_user": "naq", "smtp_password": "s3cr3t"}
    context = authority.server("127.0.0.1")
    with mailbox(tls_context=context, require_starttls=True, authenticator=doorman, auth_required=True) as (box, port):
        assert mail(authority, port, **how).answer == "sent"
        [(to, letter)] = box.got
        assert (to, letter["From"]) == (["ann@example.org"], "naq@example.org")
        wrong = mail(authority, port, **how | {"smtp_password": "guess"})
        assert (wrong.state, wrong.answer[:3]) == ("failed", "535"), "the same password would be wrong again"
        assert "guess" not in wrong.answer
        nobody = mail(authority, port)
        assert nobody.state == "failed"
        assert "uthentication" in nobody.answer
        assert len(box.got) == 1
    assert doorman.tried[0] == (b"naq", b"s3cr3t")


def test_mail_goes_out_by_tls_from_the_start(authority: Authority, doorman: Doorman) -> None:
    how: dict[str, Any] = {"smtp_user": "naq", "smtp_password": "s3cr3t", "smtp_tls": "tls"}
    context = authority.server("127.0.0.1")
    with mailbox(ssl_context=context, authenticator=doorman, auth_require_tls=False) as (box, port):
        assert mail(authority, port, **how).answer == "sent"
        unknown = mail(None, port, **how)
        assert (unknown.state, "certificate verify failed" in unknown.answer) == ("waiting", True)
        assert len(box.got) == len(doorman.tried) == 1, "nothing is said to whom nobody knows"


def test_a_password_is_not_sent_where_the_server_has_no_tls_or_a_wrong_certificate(
    authority: Authority, doorman: Doorman
) -> None:
    how: dict[str, Any] = {"smtp_user": "naq", "smtp_password": "s3cr3t"}
    with mailbox(authenticator=doorman, auth_require_tls=False) as (box, port):
        clear = mail(authority, port, **how)
    assert (clear.state, "STARTTLS" in clear.answer) == ("waiting", True), clear.answer
    with mailbox(tls_context=authority.server("example.org"), authenticator=doorman) as (other, port):
        wrong = mail(authority, port, **how)
    assert (wrong.state, "IP address mismatch" in wrong.answer) == ("waiting", True), wrong.answer
    assert box.got == other.got == []
    assert doorman.tried == []
