"""Laws of decoding that hold for any bytes."""

import copy
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import decoding
from schemas.commands import InvalidCommand
from schemas.framing import framing_error
from schemas.inbound import Content, InboundMessage
from schemas.outputs import encode_body
from tests.schemas.samples import golden, raw, valid_inputs

DECODERS = {
    "messages.inbound": decoding.decode_inbound,
    "messages.outbound": decoding.decode_send,
    "messages.receipts": decoding.decode_receipt,
    "contacts.commands": decoding.decode_command,
    "workflows.events": decoding.decode_workflow_event,
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
WRITTEN = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=60)


def decode_everywhere(value: bytes) -> None:
    for decode in DECODERS.values():
        decode(value)


@given(st.binary(max_size=400))
def test_no_bytes_make_decoding_raise(value: bytes) -> None:
    decode_everywhere(value)


@given(JSON)
def test_no_json_makes_decoding_raise(value: Any) -> None:
    decode_everywhere(json.dumps(value).encode())


@given(st.sampled_from(valid_inputs()), st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=8))
def test_no_damaged_record_makes_decoding_raise(
    record: tuple[str, dict[str, Any]], start: int, removed: int, inserted: bytes
) -> None:
    topic, value = record
    whole = raw(value)
    damaged = whole[: start % len(whole)] + inserted + whole[start % len(whole) + removed :]

    DECODERS[topic](damaged)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if not isinstance(value, (dict, list)):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return [path] * bool(path) + [found for key, item in items for found in paths(item, (*path, key))]


@given(st.sampled_from(valid_inputs()), st.data(), JSON)
def test_no_replaced_field_makes_decoding_raise(
    record: tuple[str, dict[str, Any]], data: st.DataObject, replacement: Any
) -> None:
    topic, original = record
    value: Any = copy.deepcopy(original)
    *above, last = data.draw(st.sampled_from(paths(value)))
    place = value
    for key in above:
        place = place[key]
    place[last] = replacement

    DECODERS[topic](json.dumps(value).encode())


@settings(deadline=None)  # what it takes depends on the machine
@given(st.integers(1, 200_000), st.sampled_from([b"[", b'{"a":', b"[{}", b'"\\']))
def test_no_depth_makes_decoding_raise(times: int, piece: bytes) -> None:
    decode_everywhere((piece * times)[:262_144])


@pytest.mark.parametrize(("topic", "value"), valid_inputs())
def test_unknown_fields_are_ignored(topic: str, value: dict[str, Any]) -> None:
    decoded = DECODERS[topic](raw(value))

    assert not isinstance(decoded, (decoding.BadRecord, InvalidCommand))
    assert DECODERS[topic](raw({**value, "added_later": {"a": [1, "x", None]}})) == decoded


@given(WRITTEN, WRITTEN, st.sampled_from(["text", "image", "hologram"]), st.dictionaries(WRITTEN, WRITTEN, max_size=3))
def test_message_survives_being_stored_and_read_again(text: str, name: str, kind: str, extra: dict[str, str]) -> None:
    record = golden("messages.inbound")
    record["content"] = {"type": kind, "text": text}
    record["sender"] = {"address": "+447911123456", "name": name}
    record["extra"] = extra
    message = decoding.decode_inbound(raw(record))

    assert isinstance(message, InboundMessage)
    assert (message.content.text, message.sender.name) == (text, name)
    assert json.loads(bytes(message.extra)) == extra
    assert decoding.decode_inbound(encode_body(message)) == message


@given(JSON)
def test_framing_refuses_just_what_the_contract_names(value: Any) -> None:
    written = json.dumps(value)
    has_nul = "\0" in _texts(value)
    has_half = any(0xD800 <= ord(letter) <= 0xDFFF for letter in _texts(value))

    assert (framing_error(written.encode()) is not None) == (has_nul or has_half)


def _texts(value: Any) -> str:
    match value:
        case str():
            return value
        case list():
            return "".join(map(_texts, value))
        case dict():
            return "".join(key + _texts(item) for key, item in value.items())
        case _:
            return ""


@given(st.text())
def test_text_with_halves_is_found_however_it_is_escaped(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        expected = True
    else:
        expected = "\0" in text

    assert (framing_error(json.dumps({text: text}).encode()) is not None) == expected


def test_content_of_numbers_beyond_64_bits_survives() -> None:
    content = msgspec.json.decode(
        b'{"type":"text","template":{"name":"t","language":"en","parameters":[123456789012345678901234567890]}}',
        type=Content,
    )

    assert msgspec.json.decode(msgspec.json.encode(content), type=Content) == content
