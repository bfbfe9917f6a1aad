"""Where jobs live: one folder a backend, and the seam that they all meet (`base`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

from naq.config import hint
from naq.config.fields import hide_credentials
from naq.exceptions import ConfigurationError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from naq.backends.base import Backend
    from naq.config import Config

GROUP: Final = "naq.backends"  # entry points of other distributions: scheme = "module:connect"
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*", re.ASCII)  # RFC 3986
# naq's own, so that they need no metadata scan and work from a source tree that is not installed.
_BUILT_IN: Final = {
    "nats": "naq.backends.nats",
    "tls": "naq.backends.nats",
    "embedded": "naq.backends.nats",
    "memory": "naq.backends.memory",
}


def from_url(config: Config) -> Backend:
    """The backend that `config.broker_url` names by its scheme; made, not opened.

    A scheme that naq does not have is looked up among the entry points of the group ``naq.backends``.

    Raises:
        ConfigurationError: no backend has this scheme, or the one that has cannot be imported.
    """
    scheme, colon, _ = config.broker_url.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise ConfigurationError(
            f"broker_url {hide_credentials(config.broker_url)!r} has no scheme; "
            "write it as 'nats://HOST:PORT', 'embedded:PATH' or 'memory:'"
        )
    connect = _built_in(scheme) if scheme in _BUILT_IN else _plugged_in(scheme)
    return connect(config)


def _built_in(scheme: str) -> Callable[[Config], Backend]:
    module = import_module(_BUILT_IN[scheme])
    return cast("Callable[[Config], Backend]", module.connect)


def _plugged_in(scheme: str) -> Callable[[Config], Backend]:
    from importlib.metadata import entry_points

    found: dict[str, EntryPoint] = {entry.name: entry for entry in entry_points(group=GROUP)}
    if scheme not in found:
        raise ConfigurationError(
            f"broker_url: there is no backend {scheme!r}; {hint(scheme, _BUILT_IN.keys() | found.keys())}"
        )
    try:
        return cast("Callable[[Config], Backend]", found[scheme].load())
    except (ImportError, AttributeError) as error:
        raise ConfigurationError(
            f"the backend {scheme!r} ({found[scheme].value}) cannot be loaded: {error}; install what it needs"
        ) from error
