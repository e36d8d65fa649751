"""What is a record and what is a dead letter, topic by topic."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from schemas import limits
from schemas.decoding import BadRecord, decode_inbound
from schemas.framing import framing_error
from schemas.inbound import InboundMessage
from schemas.outputs import encode_body
from tests.schemas.samples import golden, raw


def inbound(**changes: object) -> InboundMessage:
    message = decode_inbound(raw({**golden("messages.inbound"), **changes}))
    assert isinstance(message, InboundMessage), message
    return message


def bad_inbound(**changes: object) -> str:
    bad = decode_inbound(raw({**golden("messages.inbound"), **changes}))
    assert isinstance(bad, BadRecord), bad
    return bad.error


def with_text(escaped: bytes) -> bytes:
    return raw({**golden("messages.inbound"), "unknown": "HERE"}).replace(b"HERE", escaped)


def nested(levels: int) -> dict[str, Any]:
    value: dict[str, Any] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


# Framing: also in fields that nobody reads.


def test_null_value_is_bad() -> None:
    assert decode_inbound(None) == BadRecord("Expected a JSON object, got a null value")


def test_empty_value_is_bad() -> None:
    assert decode_inbound(b"") == BadRecord("JSON is malformed: it ends too early")


def test_value_may_have_256_kib_and_no_more() -> None:
    shortest = raw(golden("messages.inbound"))
    longest = shortest + b" " * (limits.MAX_VALUE_BYTES - len(shortest))

    assert isinstance(decode_inbound(longest), InboundMessage)
    assert decode_inbound(longest + b" ") == BadRecord("Expected a value of at most 262144 bytes, got 262145")


@pytest.mark.parametrize("garbage", [b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xe2\x82"])
def test_bad_utf8_is_bad_wherever_it_is(garbage: bytes) -> None:
    assert decode_inbound(with_text(garbage)) == BadRecord("Expected UTF-8, got other bytes")


@pytest.mark.parametrize("escaped", [rb"\u0000", rb"a\\\u0000", rb"\"\u0000"])
def test_escaped_nul_is_bad_wherever_it_is(escaped: bytes) -> None:
    assert decode_inbound(with_text(escaped)) == BadRecord("Expected texts without NUL, got one with it")
    assert decode_inbound(with_text(b'":1,"' + escaped)) == BadRecord("Expected texts without NUL, got one with it")


@pytest.mark.parametrize("escaped", [rb"\\u0000", rb"\\\\u0000", rb"\\ud800", rb"\u0001", rb"\u00e90000"])
def test_what_only_looks_like_nul_or_half_a_character_is_read(escaped: bytes) -> None:
    assert isinstance(decode_inbound(with_text(escaped)), InboundMessage)


def test_raw_nul_is_bad() -> None:
    assert isinstance(decode_inbound(with_text(b"\0")), BadRecord)


@pytest.mark.parametrize(
    "escaped",
    [
        rb"\ud800",
        rb"\ud800x",
        rb"\udc00",
        rb"\ud800\ud800",
        rb"\udc00\ud800",
        rb"\ud800\n",
        rb"\uD83D\\uDE00",
        rb"\ud83d\\\ude00",
    ],
)
def test_lone_surrogate_is_bad_wherever_it_is(escaped: bytes) -> None:
    assert decode_inbound(with_text(escaped)) == BadRecord("Expected texts without lone surrogates, got one with it")


@pytest.mark.parametrize("escaped", [rb"\ud83d\ude00", rb"\uD83D\uDE00\ud83d\ude00", rb"\\\ud83d\ude00"])
def test_pair_of_surrogates_is_a_character(escaped: bytes) -> None:
    assert isinstance(decode_inbound(with_text(escaped)), InboundMessage)


def test_thirty_two_levels_are_read_and_thirty_three_are_not() -> None:
    inbound(unknown=nested(31))
    inbound(extra=nested(31))

    assert bad_inbound(unknown=nested(32)) == "Expected at most 32 levels, got more"
    assert bad_inbound(extra=nested(32)) == "Expected at most 32 levels, got more"
    assert framing_error(b"[" * 33) == "Expected at most 32 levels, got more"


def test_brackets_within_texts_and_side_by_side_are_no_levels() -> None:
    inbound(unknown="[{" * 100 + '"' + "[" * 50, other=[[], {}] * 100)


@pytest.mark.parametrize("value", [b"[]", b'"text"', b"17", b"true", b"null", b"{} {}", b"{'a':1}", b'{"a":NaN}'])
def test_anything_but_an_object_is_bad(value: bytes) -> None:
    assert isinstance(decode_inbound(value), BadRecord)


# Errors.


def test_errors_tell_what_was_expected_and_where() -> None:
    assert bad_inbound(sender={}) == "Object missing required field `address` - at `$.sender`"
    assert (
        bad_inbound(received_at=None)
        == "Expected a time of RFC 3339 such as 2026-03-01T12:00:00Z, got `null` - at `$.received_at`"
    )
    assert bad_inbound(channel="pigeon").startswith("Unknown value - at `$.channel`; expected one of whatsapp, sms")
    assert bad_inbound(kind="poke") == "Unknown value - at `$.kind`; expected one of message, reaction, echo"


@pytest.mark.parametrize("field", ["workspace_id", "channel", "kind", "received_at", "sender", "content"])
def test_errors_repeat_nothing_of_the_record(field: str) -> None:
    assert "4477" not in bad_inbound(**{field: "+447911123456\n - at `$.x`"})


# Inbound messages.


def test_times_are_brought_to_utc() -> None:
    message = inbound(sent_at="2026-05-04T11:30:00.5+02:00", received_at="2026-05-04T15:15:00+05:45")

    assert message.sent_at == datetime(2026, 5, 4, 9, 30, 0, 500_000, tzinfo=UTC)
    assert message.sent_at.tzinfo is UTC
    assert message.received_at.utcoffset() == timedelta(0)
    assert message.received_at.hour == 9


@pytest.mark.parametrize(
    "time",
    [
        *("1970-01-01T00:00:00Z", "1999-12-31T23:59:59.999999Z", "2000-01-01T00:30:00+01:00", "9999-01-01T00:00:00Z"),
        *("0001-01-01T00:00:00+02:00", "9999-12-31T23:59:59-02:00"),
    ],
)
def test_impossible_time_is_bad_as_received_at_and_missing_as_sent_at(time: str) -> None:
    assert bad_inbound(received_at=time) == "Expected `received_at` to be a time within the years 2000 to 9998"
    assert inbound(sent_at=time).sent_at is None


@pytest.mark.parametrize("time", ["2000-01-01T00:00:00Z", "1999-12-31T23:30:00-00:30"])
def test_the_first_times_that_fit_are_read(time: str) -> None:
    assert inbound(received_at=time, sent_at=time).received_at == datetime(2000, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("time", ["2026-05-04T09:30:00", "2026-05-04", 1_777_887_000, "yesterday", ""])
def test_time_without_offset_is_bad_as_received_at_and_missing_as_sent_at(time: object) -> None:
    bad_inbound(received_at=time)
    assert inbound(sent_at=time).sent_at is None


@pytest.mark.parametrize("workspace_id", ["", "a" * 65, "a b", "acme\n", "ä", "a/b", None, 7])
def test_impossible_workspace_is_bad(workspace_id: object) -> None:
    bad_inbound(workspace_id=workspace_id)


def test_possible_workspace_is_read() -> None:
    assert inbound(workspace_id="A.b-c_9" + "x" * 57).workspace_id == "A.b-c_9" + "x" * 57


@pytest.mark.parametrize(("field", "longest"), [("channel_id", 128), ("provider_message_id", 512)])
def test_ids_have_a_length(field: str, longest: int) -> None:
    inbound(**{field: "é" * longest})
    bad_inbound(**{field: "é" * (longest + 1)})
    bad_inbound(**{field: ""})


def test_address_has_1_to_320_characters() -> None:
    inbound(sender={"address": "x" * 320})
    bad_inbound(sender={"address": "x" * 321})
    bad_inbound(sender={"address": ""})


def test_unknown_content_and_attachment_types_are_other() -> None:
    message = inbound(content={"type": "hologram", "attachments": [{"kind": "scent", "url": "https://x.example"}]})

    assert message.content.type == "other"
    assert message.content.attachments is not None
    assert message.content.attachments[0].kind == "other"


def test_nothing_in_an_attachment_is_too_long() -> None:
    long = "x" * 20_000
    attachment = {"kind": long, "url": f"data:{long}", "mime_type": long, "name": long, "size": 2**70}
    message = inbound(content={"type": long, "attachments": [attachment, {"kind": "image", "url": "", "size": -1}]})

    assert message.content.type == "other"
    assert msgspec.json.decode(msgspec.json.encode(message.content.attachments)) == [
        {**attachment, "kind": "other"},
        {"kind": "image", "url": "", "size": -1, "mime_type": None, "name": None},
    ]


def test_a_message_may_have_as_many_attachments_as_its_record_can_hold() -> None:
    record = {**golden("messages.inbound"), "content": {"type": "file", "attachments": []}}
    attachment = b'{"kind":"","url":""}'
    fitting = (limits.MAX_VALUE_BYTES - len(raw(record)) + 1) // (len(attachment) + 1)
    value = raw(record).replace(b"[]", b"[%b]" % b",".join([attachment] * fitting))
    message = decode_inbound(value)

    assert len(value) > limits.MAX_VALUE_BYTES - len(attachment)
    assert isinstance(message, InboundMessage)
    assert len(message.content.attachments or ()) == fitting


def test_what_may_be_absent_may_be_null() -> None:
    written = {"sender": {"address": "+1", "name": None}, "content": {"type": "text", "attachments": None}}
    message = inbound(**written, sent_at=None, extra=None)

    assert bytes(message.extra) == b"null"
    assert encode_body(message).endswith(b'"extra":null}')


def test_kind_is_message_unless_told() -> None:
    record = golden("messages.inbound")
    del record["kind"], record["extra"], record["sent_at"]
    message = decode_inbound(raw(record))

    assert isinstance(message, InboundMessage)
    assert message.kind == "message"
    assert encode_body(message).endswith(b'"extra":null}')


@pytest.mark.parametrize(
    "extra",
    [
        b'{"n":123456789012345678901234567890.125,"n":1}',
        b'{"long":' + b"9" * 5000 + b"}",
        b'{"small":1e-999,"word":"1e999","real":1e308}',
        b'{ "spaced" : [ ] }',
    ],
)
def test_extra_is_carried_along_as_it_was_written(extra: bytes) -> None:
    message = decode_inbound(raw({**golden("messages.inbound"), "extra": 0}).replace(b'"extra":0', b'"extra":' + extra))

    assert isinstance(message, InboundMessage), message
    assert encode_body(message).endswith(b'"extra":' + extra + b"}")


def test_extra_is_an_object_of_at_most_8_kib() -> None:
    inbound(extra={"a": "x" * (8192 - 8)})

    assert "at most 8192 bytes" in bad_inbound(extra={"a": "x" * (8192 - 7)})
    assert "to be an object" in bad_inbound(extra=[1])
    assert "to be an object" in bad_inbound(extra="text")


def test_number_that_readers_take_for_infinity_is_bad() -> None:
    value = raw({**golden("messages.inbound"), "extra": {"n": 0}}).replace(b'"n":0', b'"n":1e999')

    assert decode_inbound(value) == BadRecord("Expected numbers in `extra` that fit into 64 bits of floating point")
