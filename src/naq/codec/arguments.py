"""Arguments that are JSON: none, and those that a record carries for whoever looks when the job itself is gone."""

from __future__ import annotations

from typing import Final

from msgspec import Raw

JSON: Final = "json"  # `Envelope.codec` of arguments that are JSON
NO_ARGS: Final = Raw(b"[]")
NO_KWARGS: Final = Raw(b"{}")
LEFT_OUT: Final = "naq:left_out"  # the only key of what stands where something would be that is too long
_LEFT_OUT: Final = LEFT_OUT.encode()


def carried(codec: str, args: Raw, kwargs: Raw, limit: int) -> Raw | None:
    """``{"args": [...], "kwargs": {...}}`` as they were enqueued; over `limit` bytes, only how long they are.

    None: `limit` is 0, they are no JSON (pickled, encrypted), or no UTF-8: nobody who reads a record could read them.
    """
    if not limit or codec != JSON:
        return None
    text = b"".join((b'{"args":', args, b',"kwargs":', kwargs, b"}"))
    if len(text) > limit:
        return Raw(b'{"%b":"%d bytes, more than the limit of %d (record_arguments)"}' % (_LEFT_OUT, len(text), limit))
    return Raw(text) if text.isascii() or _is_utf8(text) else None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
