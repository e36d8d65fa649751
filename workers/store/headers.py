"""Stores the headers of a record as one value of a column."""

from collections.abc import Sequence
from typing import Final

import msgspec

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[tuple[str, bytes | None], ...])

StoredHeaders = tuple[tuple[str, bytes | None], ...]


def pack(headers: Sequence[tuple[str, bytes | None]]) -> bytes | None:
    """MessagePack: [[name, value], …]; None if there are none."""
    return _ENCODER.encode(tuple(headers)) if headers else None


def unpack(stored: bytes | None) -> StoredHeaders:
    """The inverse of `pack`: byte for byte, in order."""
    return _DECODER.decode(stored) if stored is not None else ()
