"""Everybody computes the same ids, and a repeat can be distinguished from a conflict."""

import os
from datetime import UTC, datetime, timedelta, timezone
from uuid import RFC_4122, UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from schemas.decoding import decode_inbound
from schemas.ids import (
    FACT_NAMESPACE,
    MessageName,
    content_digest,
    fact_id,
    fact_ids,
    is_repeat,
    message_id,
    message_ids,
    provider_id_of_send,
    random_ids,
    texts_of,
    whom,
)
from schemas.inbound import Content, InboundMessage
from schemas.output_headers import cloud_event_headers
from tests.schemas.samples import SEND, golden, raw

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40)
FIXED = {62, 63, 76, 77, 78, 79}
"""Bits of an id, from the right, that say its variant and version."""
NAMESPACE = UUID("b6f0f7de-3f0e-5b8c-9c53-5a6e0f0c9d11")


@given(TEXT, TEXT, st.sampled_from(["in", "out"]), TEXT)
def test_message_id_is_the_uuid5_of_the_contract(workspace: str, channel: str, direction: str, provider: str) -> None:
    computed = message_id(workspace, channel, "in" if direction == "in" else "out", provider)

    assert computed == uuid5(NAMESPACE, f"{workspace}\0{channel}\0{direction}\0{provider}")
    assert computed.version == 5


def test_message_id_of_a_send_stands_on_the_send_id() -> None:
    assert provider_id_of_send(UUID(SEND.upper())) == "send:7f9d2c1e-8a44-4d0e-b1c3-5e6f7a8b9c03"


def test_random_ids_are_of_version_4_and_all_different() -> None:
    drawn = random_ids(os.urandom(16 * 5_000))
    assert len(set(drawn)) == 5_000
    assert {(id_.version, id_.variant) for id_ in drawn} == {(4, RFC_4122)}
    # Every bit but those of version and variant is drawn.
    assert all(0.4 < sum(id_.int >> bit & 1 for id_ in drawn) / 5_000 < 0.6 for bit in range(128) if bit not in FIXED)
    assert random_ids(b"") == []


@given(st.lists(st.uuids()))
def test_texts_of_ids_are_what_str_gives(ids: list[UUID]) -> None:
    assert texts_of(ids) == [str(id_) for id_ in ids]


@given(st.lists(st.tuples(TEXT, TEXT, st.sampled_from(["in", "out"]), TEXT)))
def test_ids_of_many_are_those_of_each(names: list[MessageName]) -> None:
    assert message_ids(names) == [message_id(*name) for name in names]
    assert fact_ids(names) == [fact_id(*name) for name in names]


@given(st.lists(TEXT, min_size=1, max_size=4))
def test_fact_id_depends_on_topic_and_every_part(parts: list[str]) -> None:
    assert fact_id("messages.accepted", *parts) == uuid5(FACT_NAMESPACE, "\0".join(["messages.accepted", *parts]))
    assert fact_id("messages.accepted", *parts) != fact_id("messages.dropped", *parts)
    assert fact_id("messages.accepted", *parts) != fact_id("messages.accepted", *parts, "")


ANA = whom(("acme", "telegram", "tg-main", "1"))


def digest(**changes: object) -> int:
    message = decode_inbound(raw({**golden("messages.inbound"), **changes}))
    assert isinstance(message, InboundMessage)
    return content_digest(message.kind, message.content, ANA)


def test_repeat_has_the_same_digest_whatever_else_changed() -> None:
    again = {"received_at": "2026-05-05T00:00:00Z", "extra": None, "sent_at": None}

    assert digest(**again) == digest()
    assert digest(content={"type": "text", "text": "a", "html": None}) == digest(content={"text": "a", "type": "text"})


def test_order_of_template_parameters_is_no_difference() -> None:
    def content(parameters: dict[str, str]) -> dict[str, object]:
        return {"type": "text", "template": {"name": "t", "language": "en", "parameters": parameters}}

    assert digest(content=content({"a": "1", "b": "2"})) == digest(content=content({"b": "2", "a": "1"}))


def test_other_content_has_another_digest() -> None:
    texts = {digest(content={"type": "text", "text": text}) for text in ("a", "b", "", "a ")}

    assert len(texts) == 4
    assert digest(kind="echo") != digest(kind="message")
    assert all(-(2**63) <= value < 2**63 for value in texts)


def test_who_wrote_is_a_part_of_what_a_repeat_repeats() -> None:
    content = Content(type="text", text="/start")
    by_ana, by_bob, before = (
        content_digest("message", content, who) for who in (ANA, whom(("acme", "telegram", "", "2")), b"")
    )

    assert len({by_ana, by_bob, before}) == 3
    assert is_repeat(by_ana, by_ana, "message", content)
    assert not is_repeat(by_bob, by_ana, "message", content)
    # stored before the sender was part of the digest: what was said decides
    assert is_repeat(before, by_ana, "message", content)
    assert not is_repeat(before, by_ana, "reaction", content)


def test_headers_are_cloud_events_in_binary_mode() -> None:
    time = datetime(2026, 5, 4, 11, 30, tzinfo=timezone(timedelta(hours=2)))

    assert cloud_event_headers("messages.accepted", NAMESPACE, "acme", time, b"00-4bf9-00f0-01") == [
        ("ce_specversion", b"1.0"),
        ("ce_id", b"b6f0f7de-3f0e-5b8c-9c53-5a6e0f0c9d11"),
        ("ce_type", b"sluice.messages.accepted"),
        ("ce_source", b"/sluice/acme"),
        ("ce_time", b"2026-05-04T09:30:00Z"),
        ("content-type", b"application/json"),
        ("traceparent", b"00-4bf9-00f0-01"),
    ]
    names = [name for name, _ in cloud_event_headers("billing.mac", NAMESPACE, "acme", datetime.now(UTC))]
    assert "traceparent" not in names
