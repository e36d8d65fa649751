"""Reads forms of HTTP, in either notation: only the fields that are asked for, without temporary files."""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from connectors.provider import MAX_MAIL
from connectors.providers.mime import MimePart, parts_of, typed

_MOST_FIELDS: Final = 2_000
_CHUNK: Final = 65_536


class Form(NamedTuple):
    """The values of each field in their order, and the files with the names of their fields. `cut`: there are more
    than we read.
    """

    values: Mapping[str, list[bytes]]
    files: list[tuple[str, MimePart]]
    cut: bool = False

    def last(self, name: str) -> str | None:
        """The last value of a field; None if there is none."""
        values = self.values.get(name)
        return values[-1].decode("utf-8", "replace") if values else None


def form_of(content_type: str | None, body: bytes, wanted: frozenset[str], longest: int = MAX_MAIL) -> Form:
    """The wanted fields of a form, and all its files. Values of more than `longest` bytes are left out, unread."""
    values: dict[str, list[bytes]] = {}
    if not typed(content_type)[0].startswith("multipart/"):
        for name, value in _pairs(body, wanted, longest):
            values.setdefault(name, []).append(value)
        return Form(values, [])
    files: list[tuple[str, MimePart]] = []
    parts, cut = parts_of(body, 0, {"content-type": content_type or ""})
    for part in parts:
        told = typed(part.headers.get("content-disposition"))[1]
        name = told.get("name", "")
        if "filename" in told:
            files.append((name, part))
        elif name in wanted and part.end - part.start <= longest:
            values.setdefault(name, []).append(part.whole[part.start : part.end])
    return Form(values, files, cut)


def _pairs(body: bytes, wanted: frozenset[str], longest: int) -> Iterator[tuple[str, bytes]]:
    at = 0
    for _ in range(_MOST_FIELDS):
        if at >= len(body):
            return
        end = body.find(b"&", at)
        end = len(body) if end < 0 else end
        equals = body.find(b"=", at, end)
        if 0 <= equals < at + 256 and end - equals <= longest:
            name = unquote_to_bytes(body[at:equals].replace(b"+", b" ")).decode("utf-8", "replace")
            if name in wanted:
                yield name, _unquoted(body, equals + 1, end)
        at = end + 1


def _unquoted(body: bytes, start: int, end: int) -> bytes:
    """Piece by piece: all at once would take many times the memory of a value that is quoted throughout."""
    pieces = []
    while start < end:
        until = min(start + _CHUNK, end)
        quote = body.find(b"%", until - 2, until) if until < end else -1
        until = quote if quote >= 0 else until
        pieces.append(unquote_to_bytes(body[start:until].replace(b"+", b" ")))
        start = until
    return b"".join(pieces)
