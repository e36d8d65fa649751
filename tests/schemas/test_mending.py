"""Other notations of numbers and times, wherever a record may have them."""

import copy
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import reduce
from operator import or_
from typing import Any

import pytest
from msgspec import inspect

from schemas import limits
from schemas.commands import InvalidCommand
from schemas.decoding import BadRecord, decode_command, decode_inbound
from schemas.inbound import InboundMessage
from schemas.mending import mender
from schemas.topics import TOPICS
from tests.schemas.samples import command, full_inputs, golden, raw, refused
from tests.schemas.test_properties import DECODERS, paths

HERE = "\x01here"


def with_text(value: Any, path: tuple[Any, ...], text: str) -> bytes:
    """The record with this JSON text at one place."""
    whole = copy.deepcopy(value)
    *above, last = path
    place = whole
    for key in above:
        place = place[key]
    place[last] = HERE
    return raw(whole).replace(raw(HERE), text.encode())


def places(*kinds: type[inspect.Type]) -> Iterator[tuple[str, dict[str, Any], tuple[Any, ...]]]:
    """Every place of a valid record whose value is one of these."""
    for topic, value in full_inputs():
        for path in paths(value):
            if _is(inspect.multi_type_info(TOPICS[topic].values), value, path, kinds):
                yield topic, value, path


def _is(types: Any, value: Any, path: tuple[Any, ...], wanted: tuple[type[inspect.Type], ...]) -> bool:
    for key in path:
        names = [
            f.type
            for t in types
            if isinstance(t, inspect.StructType)
            if _fits(t, value)
            for f in t.fields
            if f.encode_name == key
        ]
        items = [t.item_type for t in types if isinstance(t, (inspect.ListType, inspect.VarTupleType))]
        types = [inner for t in (items if isinstance(key, int) else names) for inner in _plain(t)]
        value = value[key]
    found = {type(t) for t in types}
    return value is not None and bool(found & {*wanted}) and inspect.FloatType not in found


def _fits(struct: inspect.StructType, value: Any) -> bool:
    return struct.tag is None or value.get(struct.tag_field) == struct.tag


def _plain(kind: inspect.Type) -> list[inspect.Type]:
    match kind:
        case inspect.Metadata(type=inner):
            return _plain(inner)
        case inspect.UnionType(types=members):
            return list(members)
        case _:
            return [kind]


INTEGERS = list(places(inspect.IntType))
MOMENTS = list(places(inspect.DateTimeType))


def named(cases: list[tuple[str, dict[str, Any], tuple[Any, ...]]]) -> list[str]:
    return ["-".join(map(str, (topic, value.get("command", ""), *path))) for topic, value, path in cases]


def test_integers_and_moments_are_found_in_every_topic() -> None:
    assert {path for _, _, path in INTEGERS} == {
        ("content", "attachments", 0, "size"), ("attempt",), ("error", "code"), ("expected_count",),
        ("set", "anchor_day"),
    }  # fmt: skip
    assert {path[-1] for _, _, path in MOMENTS} == {
        "sent_at", "received_at", "requested_at", "confirmed_at", "at", "issued_at", "from", "to", "until",
            "cycle_start",
    }  # fmt: skip


@pytest.mark.parametrize(("topic", "value", "path"), INTEGERS, ids=named(INTEGERS))
@pytest.mark.parametrize("form", ["{}.0", "{}.000", "{}e0", "{}E+00", "{}0e-1", "0.{}e{digits}"])
def test_a_number_without_a_fraction_is_an_integer(
    topic: str, value: dict[str, Any], path: tuple[Any, ...], form: str
) -> None:
    seven = DECODERS[topic](with_text(value, path, "7"))

    assert not refused(seven)
    assert DECODERS[topic](with_text(value, path, form.format(7, digits=1))) == seven


@pytest.mark.parametrize(("topic", "value", "path"), INTEGERS, ids=named(INTEGERS))
@pytest.mark.parametrize(
    "number", ["7.5", "7.0000000000000000000000001", "7e-1", "1e41", "1e400", "1e99999999999999999999", "1e-9999", "7."]
)  # fmt: skip
def test_a_number_with_a_fraction_or_without_end_is_none(
    topic: str, value: dict[str, Any], path: tuple[Any, ...], number: str
) -> None:
    assert refused(DECODERS[topic](with_text(value, path, number)))


FORMS = [
    ("2026-05-04t09:30:00z", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
    ("2026-05-04T09:30:00-00:00", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
    ("2026-05-04T09:30:00.1234567891234Z", datetime(2026, 5, 4, 9, 30, 0, 123_457, tzinfo=UTC)),
    ("2026-05-04T15:15:00+05:45", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
    ("2016-12-31T23:59:60Z", datetime(2017, 1, 1, tzinfo=UTC)),
    ("2015-06-30t16:59:60.25-07:00", datetime(2015, 7, 1, 0, 0, 0, 250_000, tzinfo=UTC)),
    ("2016-12-31T23:59:60.123456789+00:00", datetime(2017, 1, 1, 0, 0, 0, 123_457, tzinfo=UTC)),
    ("2026-05-04T09:29:60z", datetime(2026, 5, 4, 9, 30, tzinfo=UTC)),
]


def moved(value: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """The record, changed so that another time fits at this place: `from` stays before `to`."""
    if path == ("to",):
        return {**value, "from": "2001-01-01T00:00:00Z"}
    return {**value, "to": "2100-01-01T00:00:00Z"} if path == ("from",) else value


@pytest.mark.parametrize(("topic", "value", "path"), MOMENTS, ids=named(MOMENTS))
def test_a_time_is_read_as_rfc_3339_writes_it(topic: str, value: dict[str, Any], path: tuple[Any, ...]) -> None:
    record = moved(value, path)
    for form, moment in FORMS:
        expected = DECODERS[topic](with_text(record, path, raw(moment.isoformat()).decode()))

        assert not refused(expected)
        assert DECODERS[topic](with_text(record, path, raw(form).decode())) == expected, form


NO_TIMES = [
    "2026-05-04T09:30:61Z", "2026-05-04T09:60:60Z", "2026-05-04T24:00:00Z", "2026-02-30T23:59:60Z",
    "0000-01-01T00:00:60Z", "9999-12-31T23:59:60Z", "2026-05-04T23:59:60", "2026-05-04", "yesterday", "",
    "\u0662026-05-04T23:59:60Z", 1777887000, 1.5, 0.0, True, [], {}, [None], {"at": "2026-05-04T09:30:00Z"},
]  # fmt: skip


@pytest.mark.parametrize(("topic", "value", "path"), MOMENTS, ids=named(MOMENTS))
def test_a_time_before_2000_is_bad_and_missing_as_sent_at(
    topic: str, value: dict[str, Any], path: tuple[Any, ...]
) -> None:
    record = {**value, "to": "2100-01-01T00:00:00Z"} if path == ("from",) else value
    read = DECODERS[topic](with_text(record, path, raw("1999-12-31T23:59:59Z").decode()))

    if path == ("sent_at",):
        assert isinstance(read, InboundMessage)
        assert read.sent_at is None
    else:
        assert refused(read)


@pytest.mark.parametrize("value", NO_TIMES)
def test_a_sent_at_that_is_no_time_counts_as_missing_and_no_other_moment_does(value: object) -> None:
    message = decode_inbound(raw({**golden("messages.inbound"), "sent_at": value}))

    assert isinstance(message, InboundMessage)
    assert message.sent_at is None
    for topic, record, path in MOMENTS:
        if path != ("sent_at",):
            assert refused(DECODERS[topic](with_text(record, path, raw(value).decode()))), path


@pytest.mark.parametrize(("field", "longest"), [("name", 512), ("language", 64), ("avatar_url", 8_192)])
def test_what_is_too_long_to_keep_of_a_sender_counts_as_missing(field: str, longest: int) -> None:
    for text, kept in (("é" * longest, "é" * longest), ("é" * (longest + 1), None)):
        sender = {"address": "+447911123456", field: text}
        message = decode_inbound(raw({**golden("messages.inbound"), "sender": sender}))

        assert isinstance(message, InboundMessage)
        assert getattr(message.sender, field) == kept
    assert refused(decode_inbound(raw({**golden("messages.inbound"), "sender": {"address": "+1", field: 7}})))
    assert refused(decode_inbound(raw({**golden("messages.inbound"), "sender": {"address": "x" * 321, field: text}})))


def test_what_is_mended_keeps_all_else_as_it_was_written() -> None:
    extra = b'{ "n":123456789012345678901234567890.125,"n":1, "long":' + b"9" * 5000 + b"}"
    value = raw({**golden("messages.inbound"), "sent_at": "2016-12-31T23:59:60Z", "extra": 0, "unknown": 1})
    message = decode_inbound(
        b" \n" + value.replace(b'"extra":0', b'"extra":' + extra).replace(b":1}", b":" + extra + b"}")
    )

    assert isinstance(message, InboundMessage), message
    assert bytes(message.extra) == extra
    assert message.sent_at == datetime(2017, 1, 1, tzinfo=UTC)


def test_what_is_wrong_besides_is_told() -> None:
    value = {**golden("messages.inbound"), "sent_at": "2016-12-31T23:59:60Z"}

    assert decode_inbound(raw({**value, "received_at": None})) == BadRecord(
        "Expected a time of RFC 3339 such as 2026-03-01T12:00:00Z, got `null` - at `$.received_at`"
    )
    assert isinstance(decode_inbound(raw(value)[:-1]), BadRecord)
    assert isinstance(decode_inbound(raw([value])), BadRecord)


def test_an_invalid_command_has_its_time() -> None:
    invalid = decode_command(raw(command("comment", text="", issued_at="2016-12-31T23:59:60Z")))

    assert isinstance(invalid, InvalidCommand)
    assert invalid.issued_at == datetime(2017, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(("topic", "value"), full_inputs())
def test_what_needs_no_mending_stays_as_it_is(topic: str, value: dict[str, Any]) -> None:
    assert bytes(mender(reduce(or_, TOPICS[topic].values))(raw(value))) == raw(value)


def test_a_list_that_no_good_record_can_hold_is_read_once() -> None:
    value = raw({**golden("messages.inbound"), "content": {"type": "file", "attachments": [0]}})
    items = b'{"size":1.0},' * (limits.MAX_VALUE_BYTES // 13 - 100)
    bad = decode_inbound(value.replace(b"[0]", b"[" + items + b"{}]"))

    assert bad == BadRecord("Expected `int | null`, got `float` - at `$.content.attachments[0].size`")
