"""The seal that a configuration asks for. None without keys, and then nothing of sealing is even imported."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from naq.exceptions import SerializationError

if TYPE_CHECKING:
    from naq.codec.seal import Seal
    from naq.config import Config
    from naq.job import JobRecord


def seal_for(config: Config) -> Seal | None:
    """What seals and opens jobs and records under `config`; None where it has no keys.

    Raises:
        ConfigurationError: there are keys for encryption, but `cryptography` is not installed.
    """
    if not config.signing_keys and not config.encryption_keys:
        return None
    return _make(config.namespace, config.signing_keys, config.encryption_keys)


def opened(record: JobRecord, job_id: str, config: Config) -> JobRecord:
    """The record of the job `job_id` as its worker made it, from what is stored; one that is not final, as it is.

    Raises:
        SerializationError: it is not signed or encrypted as `config` asks, or wrongly; names the job.
    """
    seal = seal_for(config)
    if not record.is_final or (seal is None and not record.sealed):
        return record
    try:
        if seal is not None:
            return seal.open_record(record, job_id)
        from naq.codec.seal import unopened

        return unopened(record)
    except SerializationError as error:
        raise SerializationError(f"the record of job {job_id} is not taken: {error}") from error


def close_value(config: Config, data: bytes, *place: str) -> bytes:
    """`data` that is kept beside a job, signed and encrypted as `config` asks, for its `place`."""
    seal = seal_for(config)
    return data if seal is None else seal.seal_value(data, *place)


def open_value(config: Config, data: bytes, *place: str) -> bytes:
    """What `close_value` was given for this `place`.

    Raises:
        SerializationError: it is not signed or encrypted as `config` asks, or wrongly; says of what.
    """
    seal = seal_for(config)
    if seal is None:
        if data.startswith(b"naq-value-1 "):
            raise SerializationError(f"the {' '.join(place)} is signed or encrypted, and there are no keys for it here")
        return data
    try:
        return seal.open_value(data, *place)
    except SerializationError as error:
        raise SerializationError(f"the {' '.join(place)} is not taken: {error}") from error


@functools.lru_cache(maxsize=64)
def _make(namespace: str, signing: tuple[str, ...], encryption: tuple[str, ...]) -> Seal:
    from naq.codec.seal import Seal
    from naq.config.keys import keyring

    return Seal(namespace, keyring(signing), keyring(encryption))
