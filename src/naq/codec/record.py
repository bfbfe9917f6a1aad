"""The final record as JSON, there and back."""

from __future__ import annotations

from typing import Final

from msgspec import UNSET, Raw, UnsetType
from msgspec.json import Decoder, Encoder

from naq.job import JobRecord


class _Stored(JobRecord, frozen=True, kw_only=True, omit_defaults=True):
    # msgspec reads `Raw | None` as None only; absent is what it can tell apart.
    result: Raw | UnsetType = UNSET  # pyright: ignore[reportIncompatibleVariableOverride]


_FIELDS: Final = JobRecord.__struct_fields__
_decode: Final = Decoder(_Stored).decode

encode_record: Final = Encoder().encode
"""The JSON of a `JobRecord`; fields that have their default are left out."""


def decode_record(data: bytes) -> JobRecord:
    """The record that `data` is.

    Raises:
        msgspec.DecodeError: it is none.
    """
    stored = _decode(data)
    values = {name: getattr(stored, name) for name in _FIELDS}
    if stored.result is UNSET:
        values["result"] = None
    return JobRecord(**values)
