"""Poison records of many kinds: each is made from a good record of the same topic."""

import random
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tests.acceptance.making import Json, topic_of

Kind = Callable[[Json, random.Random], bytes | None]

_MOMENT: Final = {
    "messages.inbound": "received_at",
    "messages.outbound": "send_id",
    "messages.receipts": "at",
    "workflows.events": "at",
    # A command or send whose head can be read is refused and not a dead letter: what is wrong must be in its head.
    "contacts.commands": "command_id",
}
_ID: Final = {
    "messages.inbound": ("provider_message_id", ""),
    "messages.outbound": ("send_id", "no-uuid"),
    "messages.receipts": ("send_id", "550e8400-e29b-41d4-a716-44665544000g"),
    "workflows.events": ("run_id", "r" * 129),
    "contacts.commands": ("command_id", "550e8400"),
}
_WORD: Final = {
    "messages.inbound": "channel",
    "messages.outbound": "send_id",
    "messages.receipts": "status",
    "workflows.events": "event",
    "contacts.commands": "command",
}


def _json(record: Json) -> bytes:
    return msgspec.json.encode(record)


def _but(good: Json, **fields: Any) -> bytes:
    return _json(good | fields)


def _moment(good: Json, literal: bytes) -> bytes:
    """The record with these bytes in place of a moment, whatever JSON thinks of them."""
    return _but(good, **{_MOMENT[topic_of(good)]: "\ue000"}).replace('"\ue000"'.encode(), literal)


def _nested(levels: int) -> list[Any]:
    deep: list[Any] = []
    for _ in range(levels - 1):
        deep = [deep]
    return deep


def _cut(good: Json, dice: random.Random) -> bytes:
    whole = _json(good)
    return whole[: dice.randrange(1, len(whole))]


def _wrong_id(good: Json, _dice: random.Random) -> bytes:
    name, value = _ID[topic_of(good)]
    return _but(good, **{name: value})


KINDS: Final[dict[str, Kind]] = {
    "no JSON": lambda _, dice: b"{not json %d" % dice.randrange(1000),
    "truncated": _cut,
    "two documents": lambda good, _: _json(good) + b"\n" + _json(good),
    "a bracket too many": lambda good, _: _json(good) + b"}",
    "empty": lambda _good, _: b"",
    "white space": lambda _good, _: b" \t\n",
    "tombstone": lambda _good, _: None,
    "the word null": lambda _good, _: b"null",
    "a list": lambda good, _: b"[" + _json(good) + b"]",
    "a text": lambda good, _: _json({"": _json(good).decode()})[4:-1],
    "a number": lambda _, dice: b"%d" % dice.randrange(10**9),
    "wrong type": lambda good, _: _but(good, workspace_id=["w"]),
    "no tenant": lambda good, _: _json({name: value for name, value in good.items() if name != "workspace_id"}),
    "no tenant's name": lambda good, dice: _but(
        good, workspace_id=dice.choice(["", "a b", "a/b", "a\n", "ä", "w" * 65])
    ),
    "twice the tenant": lambda good, _: _json(good)[:-1] + b',"workspace_id":7}',
    "unknown word": lambda good, dice: _but(good, **{_WORD[topic_of(good)]: dice.choice(["explode", "", "WHATSAPP"])}),
    "wrong id": _wrong_id,
    "too large": lambda good, _: _but(good, padding="x" * 262_144),
    "far too large": lambda good, dice: _but(good, padding="x" * dice.randrange(530_000, 900_000)),
    "too deep": lambda good, _: _but(good, more=_nested(32)),
    "far too deep": lambda good, _: _json(good)[:-1] + b',"more":' + b"[" * 60_000 + b"]" * 60_000 + b"}",
    "NUL escaped": lambda good, _: _json(good)[:-1] + rb',"more":"\u0000"}',
    "NUL": lambda good, _: _json(good)[:-1] + b',"more":"\0"}',
    "half a character": lambda good, dice: _json(good)[:-1] + b',"more":"\\u%b"}' % dice.choice([b"d800", b"DFFF"]),
    "bad UTF-8": lambda good, dice: (
        _json(good)[:-1] + b',"more":"%b"}' % dice.choice([b"\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
    ),
    "UTF-16": lambda good, _: _json(good).decode().encode("utf-16"),
    "no number": lambda good, dice: _moment(good, dice.choice([b"NaN", b"-Infinity", b"+1", b"0x1F", b"01"])),
    "huge number": lambda good, dice: _moment(good, dice.choice([b"1e400", b"9" * 5_000, b"-1e999999999"])),
    "no such day": lambda good, dice: _moment(
        good,
        dice.choice(
            [b'"2026-02-30T00:00:00Z"', b'"0000-01-01T00:00:00Z"', b'"9999-12-31T23:59:59Z"', b'"1999-12-31T23:59:59Z"']
        ),
    ),
    "no offset": lambda good, _: _moment(good, b'"2026-02-01T00:00:00"'),
    "another format": lambda _, dice: b"\x00\x00\x00\x00\x07" + dice.randbytes(80),
    "noise": lambda _, dice: dice.randbytes(dice.randrange(1, 400)),
    "a page": lambda _good, _: b"<!DOCTYPE html><title>502 Bad Gateway</title>",
}
