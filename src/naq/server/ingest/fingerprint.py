"""What makes two errors the same one. Pure."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import Final

from naq.job import AttemptError

OWN_FRAMES: Final = 3  # the innermost frames of one's own code; more would part what different callers cause
_LIBRARY: Final = re.compile(r"(?:^|[/\\])(?:site-packages|dist-packages|lib[/\\]python3[^/\\]*)[/\\]|^<|[/\\]naq[/\\]")
# Ids, numbers, quoted values and addresses vary from job to job.
_VARYING: Final = re.compile(
    r"'[^']*'|\"[^\"]*\"|0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}\b|\b[0-9A-Z]{26}\b|\b[0-9a-fA-F]{12,}\b|\d+"
)
_MESSAGE: Final = 300  # characters that take part


def fingerprint(task: str, error: AttemptError) -> str:
    """16 hexadecimal digits: the same for errors of a task with one type, place, and message but for its values."""
    message = _VARYING.sub("#", error.message[:_MESSAGE].partition("\n")[0])
    own = [frame for frame in error.frames if frame.line and not _LIBRARY.search(frame.file)]
    frames = own or error.frames
    places = [f"{_base(frame.file)}:{frame.function}" for frame in frames[-OWN_FRAMES:]]
    text = "\x1f".join([task, error.type, message, *places])
    return blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()


def _base(file: str) -> str:
    return file.replace("\\", "/").rpartition("/")[2]
