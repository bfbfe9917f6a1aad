"""What a process says when it starts with settings that trust more than the defaults do: once, and loudly."""

from __future__ import annotations

import logging
import warnings
from typing import Final, Literal

from naq.codec.envelope import PICKLE
from naq.config import Config
from naq.config.keys import NO_KEY

Role = Literal["client", "worker"]
log = logging.getLogger("naq.security")

_PICKLE: Final[dict[Role, str]] = {
    "client": (
        "codec='pickle': arguments are pickled, and workers that read them run whatever code a message holds. Use it"
        " only where everybody who can write to the broker is trusted (docs/pickle.md)"
    ),
    "worker": (
        "codec='pickle': this worker unpickles arguments, so whoever can write to its queues can run any code as this"
        " user. Use it only where every producer is trusted (docs/pickle.md)"
    ),
}
_UNSIGNED: Final = "; signing_keys are not set, so nothing tells a producer's job from a stranger's"
_said: Final = set[tuple[Role, str]]()


class PickleWarning(UserWarning):
    """Arguments are pickled, or unpickled, in this process."""


def caution(config: Config, role: Role, *, stacklevel: int = 2) -> None:
    """Say what `config` trusts: as a warning and at level WARNING for pickle, each once a process and role."""
    if config.codec == PICKLE and _first(role, PICKLE):
        text = _PICKLE[role] + ("" if config.signing_keys else _UNSIGNED)
        log.warning(text)
        warnings.warn(text, PickleWarning, stacklevel=stacklevel + 1)
    if role == "worker":
        for name in ("signing_keys", "encryption_keys"):
            if NO_KEY in getattr(config, name) and _first(role, name):
                what = "signed" if name == "signing_keys" else "encrypted"
                log.warning(
                    "%s has %r in it: jobs that are not %s are taken as well. End the rollout by removing it "
                    "(docs/signing.md)",
                    name,
                    NO_KEY,
                    what,
                )


def _first(role: Role, what: str) -> bool:
    if (role, what) in _said:
        return False
    _said.add((role, what))
    return True
