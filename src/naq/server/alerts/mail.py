"""A message by e-mail, through the SMTP server of the settings."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from naq import clock
from naq.config.server import ServerConfig
from naq.exceptions import ConfigurationError
from naq.server.alerts.trust import trust_of
from naq.server.alerts.webhook import Undeliverable

_KEPT: Final = 200  # characters of an answer that are kept


def check_address(text: str) -> str:
    """`text`, if it is an address that mail can go to.

    Raises:
        ConfigurationError: it is none.
    """
    try:
        found = Address(addr_spec=text)
    except (ValueError, IndexError) as error:
        raise ConfigurationError(f"{text!r} is no e-mail address") from error
    if not found.username or ("." not in found.domain and found.domain != "localhost") or not text.isascii():
        raise ConfigurationError(f"{text!r} is no e-mail address")
    return text


def letter(message: dict[str, Any], sender: str, to: Sequence[str]) -> EmailMessage:
    """`message` as an e-mail. Those about one incident are one thread."""
    made = EmailMessage()
    where = f" ({message['environment']})" if message["environment"] else ""
    what = str(message["type"]).partition(".")[2]
    made["Subject"] = " ".join(f"[naq{where}] {what}: {message['title']}".split())
    made["From"], made["To"] = sender, ", ".join(to)
    made["Date"] = format_datetime(clock.as_datetime(clock.now()))
    domain = sender.rpartition("@")[2].strip(">") or "naq"
    made["Message-ID"] = f"<{message['id']}@{domain}>"
    made["Auto-Submitted"] = "auto-generated"
    if incident := message.get("incident"):
        made["References"] = f"<{incident['id']}@{domain}>"
    link = f"\n\n{message['url']}" if message["url"] else ""
    made.set_content(f"{message['text']}{link}\n\nat {message['at']}\n")
    return made


async def send(settings: ServerConfig, message: dict[str, Any], to: Sequence[str]) -> str:
    """Send `message` to all of `to`; what was answered, for people.

    Raises:
        Undeliverable: no server is set, it cannot be reached, or does not take it.
    """
    if not settings.smtp_host:
        raise Undeliverable("no server takes e-mail: set server_smtp_host", final=True)
    try:
        return await asyncio.to_thread(_send, settings, letter(message, settings.smtp_from, to))
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise Undeliverable(f"{error.smtp_code} {said}"[:_KEPT], final=500 <= error.smtp_code < 600) from error
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise Undeliverable(f"refused for {', '.join(error.recipients)}"[:_KEPT],
                            final=all(500 <= code < 600 for code in codes)) from error  # fmt: skip
    except (smtplib.SMTPException, OSError) as error:
        raise Undeliverable(f"{type(error).__name__}: {error}"[:_KEPT]) from error


def _send(settings: ServerConfig, made: EmailMessage) -> str:
    """In a thread: smtplib waits, `smtp_timeout` for each answer."""
    how: dict[str, Any] = {"host": settings.smtp_host, "port": settings.smtp_port, "timeout": settings.smtp_timeout}
    trust = trust_of(settings.ca_file)
    with smtplib.SMTP_SSL(**how, context=trust) if settings.smtp_tls == "tls" else smtplib.SMTP(**how) as server:
        if settings.smtp_tls == "starttls":
            server.starttls(context=trust)
        if settings.smtp_user:
            server.login(settings.smtp_user, settings.smtp_password)
        refused = server.send_message(made)
    return f"sent, but not to {', '.join(refused)}" if refused else "sent"
