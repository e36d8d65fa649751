"""Batches that are small until they are inflated, made without holding the inflated bytes."""

import gzip
import io
import struct
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import cramjam
from aiokafka.record.util import encode_varint

from tests.support.batches import batch, record

MIB: Final = 1024 * 1024
CODECS: Final = {"gzip": 1, "snappy": 2, "xerial": 2, "lz4": 3, "zstd": 4}
"""`xerial` is snappy in frames, as Java's clients and aiokafka write it."""


def bomb(codec: str, size: int, base: int = 0, count: int = 1) -> bytes:
    """A batch of `count` records that inflates to `size` bytes: a value of zeros, and what the others say is not so."""
    head, zeros = _record(size)
    return batch(base, squeezed(codec, _pieces(head, zeros)), count, attributes=CODECS[codec])


def flood(headers: int, header: bytes = b"\0\1") -> bytes:
    """A record of almost nothing but headers; `header` is one, and has neither name nor value unless told."""
    body = record(0, b"{}", count=headers)[1:] + header * headers
    return _varint(len(body)) + body


def squeezed(codec: str, pieces: Iterable[bytes]) -> bytes:
    """The pieces behind each other, compressed."""
    return _SQUEEZE[codec](pieces)


def _record(size: int) -> tuple[bytes, int]:
    """What a record of so many bytes begins with, and of how many zeros its value is."""
    for zeros in range(size - 20, size):
        body = b"\0\0\0" + _varint(-1) + _varint(zeros)
        head = _varint(len(body) + zeros + 1) + body
        if len(head) + zeros + 1 == size:
            return head, zeros
    raise ValueError(f"no record has {size} bytes")


def _varint(number: int) -> bytes:
    out = bytearray()
    encode_varint(number, out.append)
    return bytes(out)


def _pieces(head: bytes, zeros: int) -> Iterator[bytes]:
    yield head
    for begin in range(0, zeros, MIB):
        yield bytes(min(MIB, zeros - begin))
    yield b"\0"  # no headers


def _gzip(pieces: Iterable[bytes]) -> bytes:
    out = io.BytesIO()
    with gzip.GzipFile(fileobj=out, mode="w", mtime=0) as file:
        for piece in pieces:
            file.write(piece)
    return out.getvalue()


def _stream(compressor: Any) -> Callable[[Iterable[bytes]], bytes]:
    def squeeze(pieces: Iterable[bytes]) -> bytes:
        out, found = compressor(), b""
        for piece in pieces:
            out.compress(piece)
            found += bytes(out.flush())
        return found + bytes(out.finish())

    return squeeze


def _xerial(pieces: Iterable[bytes]) -> bytes:
    blocks = [bytes(cramjam.snappy.compress_raw(piece)) for piece in pieces]
    return b"\x82SNAPPY\0\0\0\0\1\0\0\0\1" + b"".join(struct.pack(">i", len(block)) + block for block in blocks)


_SQUEEZE: Final[dict[str, Callable[[Iterable[bytes]], bytes]]] = {
    "gzip": _gzip,
    "snappy": lambda pieces: bytes(cramjam.snappy.compress_raw(b"".join(pieces))),
    "xerial": _xerial,
    "lz4": _stream(partial(cramjam.lz4.Compressor, content_checksum=False, block_linked=False)),
    "zstd": _stream(cramjam.zstd.Compressor),
}
