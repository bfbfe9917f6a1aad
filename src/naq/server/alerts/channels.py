"""What a channel must be: one place for all who make or change one."""

from __future__ import annotations

from naq.exceptions import ConfigurationError
from naq.server.alerts.mail import check_address
from naq.server.alerts.rows import Channel
from naq.server.alerts.webhook import check_url


def fault(channel: Channel) -> tuple[str, str] | None:
    """What of `channel` is not allowed (a field, as the API calls it), and why; None: it is one.

    The message names no URL and no key, which are secrets.
    """
    if channel.kind == "webhook":
        return _of_webhook(channel)
    if not channel.addresses or channel.url or channel.form != "naq" or channel.secret:
        return "addresses", "e-mail has addresses, and neither a URL, a form nor a key"
    for place, address in enumerate(channel.addresses):
        try:
            check_address(address)
        except ConfigurationError as error:
            return f"addresses/{place}", str(error)
    return None


def _of_webhook(channel: Channel) -> tuple[str, str] | None:
    if not channel.url or channel.addresses:
        return "url", "a webhook has a URL, and no addresses"
    try:
        check_url(channel.url)
    except ConfigurationError as error:
        return "url", str(error)
    if channel.form == "pagerduty" and not channel.secret:
        return "key", "PagerDuty needs its routing key"
    if channel.form == "naq" and not channel.secret:
        return "form", "what is signed needs a secret: make another channel"
    return None
