"""The final record as JSON, there and back."""

from __future__ import annotations

from typing import Final

from msgspec.json import Decoder, Encoder

from naq.job import JobRecord

encode_record: Final = Encoder().encode
"""The JSON of a `JobRecord`; fields that have their default are left out."""

decode_record: Final = Decoder(JobRecord).decode
"""The record that some JSON is; `msgspec.DecodeError` where it is none."""
