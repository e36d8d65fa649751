"""Takes an Internet message (RFC 5322, MIME) apart, whatever comes: broken messages are read as far as they can be.

Parts are places in the message and are never copied, and all numbers are bounded: a hostile message of 40 MiB takes no
more time and memory than a large honest one. Multipart forms of HTTP have the same grammar.
"""

import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

MOST_PARTS: Final = 500
_DEEPEST: Final = 20
_MOST_DELIMITERS: Final = 20_000  # lines that look like a boundary
_LONGEST_HEADERS: Final = 262_144
_LONGEST_HEADERS_OF_A_PART: Final = 8_192
_LONGEST_VALUE: Final = 16_384
_USUAL_HEADER: Final = 64  # bytes: as many headers as fit if all are like this one
_MOST_CONTINUATIONS: Final = 50
_CHUNK: Final = 1_048_572  # a multiple of 3 and of 4

_FIELD: Final = re.compile(rb"([!-9;-~]+)[ \t]*:[ \t]*")
_FOLD: Final = re.compile(rb"\r?\n(?![ \t])")
_NEWLINES: Final = re.compile(rb"[\r\n]+")
_TOKENS: Final = re.compile(r'"(?:\\.|[^"\\])*"?|[^";]+|;', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WORD: Final = re.compile(r"=\?([^?\s*]{1,40})(?:\*[^?\s]{0,40})?\?([bBqQ])\?([^?]{0,4000})\?=")
_NO_BASE64: Final = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))
# Python would look for a module for any other name, and remember each; some of its codecs are no charsets.
_CHARSET: Final = re.compile(
    r"utf_?(?:7|8|16|32)(?:_?[bl]e)?|iso_?8859_[0-9]{1,2}|latin_?[0-9]{1,2}|(?:windows|cp)_?[0-9]{3,5}|koi8_[rut]"
    r"|big5(?:_?hkscs)?|gb(?:k|2312|18030)|hz|euc_?(?:jp|kr|cn)|ks_c_5601_1987|(?:shift|s)_?jis|iso_2022_(?:jp|kr)"
    r"|tis_620|mac_?roman"
)
_MEANT: Final = {"gb2312": "gb18030", "iso_8859_1": "cp1252", "latin1": "cp1252", "latin_1": "cp1252"}
"""Charsets that senders name when they mean another one, which has the same characters and more."""


@dataclass(frozen=True, slots=True)
class MimePart:
    """A part that has no parts itself, from `start` to `end` of the message. Names of headers are in lower case; of
    several with one name the first counts.
    """

    whole: bytes
    start: int
    end: int
    headers: Mapping[str, str]

    @property
    def type(self) -> str:
        """The media type in lower case."""
        return typed(self.headers.get("content-type"))[0]

    @property
    def filename(self) -> str | None:
        """The name of the file, without folders."""
        for header, parameter in (("content-disposition", "filename"), ("content-type", "name")):
            given = typed(self.headers.get(header))[1].get(parameter)
            if given:
                return words(given).replace("\\", "/").rstrip("/").rpartition("/")[2].strip()[:255] or None
        return None

    def data(self, longest: int) -> bytes:
        """The content of at most `longest` bytes of the message, without its transfer encoding."""
        raw = self.whole[self.start : min(self.end, self.start + longest)]
        match self._encoding():
            case "base64":
                return _of_base64(raw)
            case "quoted-printable":
                return binascii.a2b_qp(raw)
            case _:
                return raw

    def text(self, longest: int) -> str:
        """The text of at most `longest` bytes of the message."""
        charset = typed(self.headers.get("content-type"))[1].get("charset", "")
        return decoded(self.data(longest), charset)

    def size(self) -> int:
        """The size of the content in bytes, without its transfer encoding."""
        match self._encoding():
            case "base64":
                places = range(self.start, self.end, _CHUNK)
                digits = sum(
                    len(self.whole[at : min(at + _CHUNK, self.end)].translate(None, _NO_BASE64)) for at in places
                )
                return digits * 3 // 4
            case "quoted-printable":
                return len(binascii.a2b_qp(self.whole[self.start : self.end]))
            case _:
                return self.end - self.start

    def _encoding(self) -> str:
        return self.headers.get("content-transfer-encoding", "").strip().lower()


class Message(NamedTuple):
    """A message: its own headers, and its parts in their order. `cut`: there are more parts than we read."""

    headers: Mapping[str, str]
    parts: list[MimePart]
    cut: bool


def taken_apart(whole: bytes) -> Message:
    """A message and its parts."""
    headers, start = headers_of(whole, 0, len(whole), _LONGEST_HEADERS)
    parts, cut = parts_of(whole, start, headers)
    return Message(headers, parts, cut)


def parts_of(whole: bytes, start: int, headers: Mapping[str, str]) -> tuple[list[MimePart], bool]:
    """The parts of a body that begins at `start`, and whether there are more than we read."""
    found: list[MimePart] = []
    cut = False
    delimiters = _MOST_DELIMITERS
    waiting = [(MimePart(whole, start, len(whole), headers), 0)]
    while waiting:
        part, depth = waiting.pop()
        type_, parameters = typed(part.headers.get("content-type"))
        boundary = parameters.get("boundary", "").rstrip()
        if not type_.startswith("multipart/") or not boundary or depth > _DEEPEST:
            found.append(part)
            continue
        places, seen = _between(part, boundary.encode("utf-8", "surrogateescape"), delimiters)
        delimiters -= seen
        left = MOST_PARTS - len(found) - len(waiting)
        cut = cut or len(places) > left or delimiters <= 0
        inner = []
        for begin, end in places[:left]:
            own, body = headers_of(whole, begin, end, _LONGEST_HEADERS_OF_A_PART)
            inner.append((MimePart(whole, body, end, own), depth + 1))
        if not places and depth == 0:  # not one boundary is there: what came is a text
            found.append(MimePart(whole, part.start, part.end, {}))
        waiting += reversed(inner)
    return found, cut


def _between(part: MimePart, boundary: bytes, most: int) -> tuple[list[tuple[int, int]], int]:
    """Where the parts between the boundaries begin and end, and how many lines looked like one."""
    line = b"\n--" + boundary
    places: list[tuple[int, int]] = []
    seen, begin, length = 0, -1, len(line)
    first = part.whole.startswith(line[1:], part.start, part.end)  # the line break before it is not in the part
    at = part.start - 1 if first else part.whole.find(line, part.start, part.end)
    while (first or at >= 0) and seen < most and len(places) <= MOST_PARTS:
        first = False
        seen += 1
        end_of_line = part.whole.find(b"\n", at + length, min(part.end, at + length + 256))
        rest = part.whole[at + length : part.end if end_of_line < 0 else end_of_line][:256].strip()
        if rest in (b"", b"--"):
            if begin >= 0:
                end = at - 1 if part.whole[at - 1 : at] == b"\r" else at
                places.append((begin, max(begin, end)))
            begin = -1 if rest or end_of_line < 0 else end_of_line + 1
            if rest:
                return places, seen
        at = part.whole.find(line, max(at + length - 1, begin - 1), part.end)
    if begin >= 0:  # the last boundary is missing
        places.append((begin, part.end))
    return places, seen


def headers_of(whole: bytes, start: int, end: int, longest: int) -> tuple[dict[str, str], int]:
    """The headers that begin at `start`, and where the body begins."""
    for empty in (b"\n", b"\r\n"):
        if whole.startswith(empty, start, end):
            return {}, start + len(empty)
    one, other = whole.find(b"\n\n", start, end), whole.find(b"\n\r\n", start, end)
    ends = [(at, at + size) for at, size in ((one, 2), (other, 3)) if at >= 0]
    until, body = min(ends, default=(end, end))
    found: dict[str, str] = {}
    most = longest // _USUAL_HEADER
    for line in _FOLD.split(whole[start : min(until, start + longest)], most)[:most]:
        name = _FIELD.match(line)
        if name is not None:
            value = _NEWLINES.sub(b"", line[name.end() : name.end() + _LONGEST_VALUE])
            found.setdefault(name[1].decode().lower(), decoded(value, "").strip())
    if not found and not ends:
        body = start  # text without headers
    return found, body


def typed(value: str | None) -> tuple[str, dict[str, str]]:
    """The first word of a header such as Content-Type in lower case, and its parameters (RFC 2231)."""
    pieces = [""]
    for token in _TOKENS.finditer(value or "text/plain"):
        piece = token[0]
        if piece == ";" and len(pieces) > _MOST_CONTINUATIONS:
            break
        if piece == ";":
            pieces.append("")
        else:
            pieces[-1] += piece
    given: dict[str, str] = {}
    for piece in pieces[1:]:
        name, equals, text = piece.partition("=")
        text = text.strip()
        if text.startswith('"'):
            text = _ESCAPE.sub(r"\1", text[1:].removesuffix('"'))
        if equals:
            given.setdefault(name.strip().lower(), text)
    return pieces[0].strip().lower(), _continued(given)


def _continued(given: dict[str, str]) -> dict[str, str]:
    """Joins the parts of long values (`name*0`), and decodes those with a charset (`name*=utf-8''…`)."""
    found = {name: text for name, text in given.items() if "*" not in name}
    for name in {name.partition("*")[0] for name in given if "*" in name}:
        numbered = [
            (key, given[key])
            for number in range(_MOST_CONTINUATIONS)
            for key in (f"{name}*{number}", f"{name}*{number}*")
            if key in given
        ]
        pieces = [(f"{name}*", given[f"{name}*"])] if f"{name}*" in given else numbered
        charset, data = "", b""
        for number, (key, text) in enumerate(pieces):
            rest = text
            if number == 0 and key.endswith("*") and text.count("'") >= 2:
                charset, _, rest = text.split("'", 2)
            data += unquote_to_bytes(rest) if key.endswith("*") else rest.encode("utf-8", "replace")
        if pieces:
            found.setdefault(name, decoded(data, charset))
    return found


def words(value: str) -> str:
    """The text of a header, with its encoded words (RFC 2047) decoded and without control characters."""
    text, at, pending, charset = "", 0, b"", ""
    for word in _WORD.finditer(value):
        between = value[at : word.start()]
        data = _of_base64(word[3].encode("utf-8", "replace")) if word[2] in "bB" else _of_q(word[3])
        if pending and not between.strip() and word[1].lower() == charset:
            pending += data  # a character may be divided between two words
        else:
            joined = pending and not between.strip()
            text += decoded(pending, charset) + ("" if joined else between)
            pending, charset = data, word[1].lower()
        at = word.end()
    text += decoded(pending, charset) + value[at:]
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def decoded(raw: bytes, charset: str) -> str:
    """The text of these bytes. A charset that is unknown or wrong is UTF-8, or else Windows-1252."""
    name = charset.strip().lower().replace("-", "_")
    name = _MEANT.get(name, name)
    if _CHARSET.fullmatch(name):
        try:
            return raw.decode(name, "replace")
        except (LookupError, ValueError):
            pass
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # within a character, where we cut a long text
            return raw[: error.start].decode()
        return raw.decode("cp1252", "replace")


def _of_q(text: str) -> bytes:
    return binascii.a2b_qp(text.encode("utf-8", "replace"), header=True)


def _of_base64(raw: bytes) -> bytes:
    digits = raw.translate(None, _NO_BASE64)
    digits = digits[: len(digits) - (len(digits) % 4 == 1)]
    return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))
