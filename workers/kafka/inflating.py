"""Inflates the compressed bytes of a batch up to a bound. Ignores the size that the batch declares. No IO."""

import mmap
from collections.abc import Callable, Mapping
from typing import Final

import cramjam

INFLATED_AT_ONCE: Final = 2 * 1024 * 1024
"""Up to this size a batch is inflated on the event loop, while other tasks wait."""
INFLATED_AT_MOST: Final = 64 * 1024 * 1024
"""A batch that inflates to more is not read."""

_XERIAL: Final = b"\x82SNAPPY\0\0\0\0\1\0\0\0\1"
_FULL: Final = "failed to write whole buffer"
_LENGTH: Final = 4


class BrokenBatch(Exception):  # noqa: N818 - what it says is the error of a dead letter
    """The batch cannot be read from here on; says why."""


class TooLarge(Exception):  # noqa: N818 - as above
    """The batch inflates to more than the bound."""


def inflated(payload: memoryview, compression: int, most: int, head: bytes = b"") -> memoryview:
    """The inflated `payload`, behind `head`. Takes at most `most` bytes of memory, and the window of the codec.

    Raises:
        TooLarge: it inflates to more than `most` bytes.
        BrokenBatch: it is not valid for this codec.
    """
    inflate = _INTO.get(compression)
    if inflate is None:
        raise BrokenBatch(f"compression {compression} is not known")
    begin = len(head)
    # Pages that are never written take no memory.
    room = memoryview(mmap.mmap(-1, begin + most))
    room[:begin] = head
    try:
        end = begin + inflate(payload, room[begin:])
    except cramjam.DecompressionError as error:
        if str(error) == _FULL:
            raise TooLarge from error
        raise BrokenBatch(f"it cannot be inflated ({type(error).__name__})") from error
    return room[:end]


def _snappy(payload: memoryview, room: memoryview) -> int:
    """Inflates one block, or several in the framing of the xerial library, each behind its length."""
    if bytes(payload[: len(_XERIAL)]) != _XERIAL:
        return _block(payload, room)
    at, end = len(_XERIAL), 0
    while at < len(payload):
        length = int.from_bytes(payload[at : at + _LENGTH], "big", signed=True)
        at += _LENGTH
        if not 0 <= length <= len(payload) - at:
            raise BrokenBatch("it cannot be inflated (a block in it is cut off)")
        end += _block(payload[at : at + length], room[end:])
        at += length
    return end


def _block(block: memoryview, room: memoryview) -> int:
    if cramjam.snappy.decompress_raw_len(block) > len(room):
        raise TooLarge
    return cramjam.snappy.decompress_raw_into(block, room)


_INTO: Final[Mapping[int, Callable[[memoryview, memoryview], int]]] = {
    1: cramjam.gzip.decompress_into,
    2: _snappy,
    3: cramjam.lz4.decompress_into,
    4: cramjam.zstd.decompress_into,
}
