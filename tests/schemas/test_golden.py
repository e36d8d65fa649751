"""The golden records in docs/golden: inputs decode to the expected values, outputs encode to the golden text."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import msgspec
import pytest

from schemas import decoding, outputs
from schemas.actors import Actor, Identity
from schemas.contact_commands import BlockContact
from schemas.ids import message_id
from schemas.inbound import Attachment, Content, InboundMessage, Sender
from schemas.receipts import DeliveryReceipt, ReceiptError
from schemas.sends import Confirmation, Recipient, Requester, SendRequest
from schemas.topics import TOPICS
from schemas.workflow_events import RunStarted
from tests.schemas.samples import CONTACT, GOLDEN, SEND, golden, raw

CONTACT_ID = UUID(CONTACT)
SEND_ID = UUID(SEND)
COMMAND_ID = UUID("3b8e5d7a-1c2f-4e6d-9a0b-8c7d6e5f4a04")
CONVERSATION_ID = UUID("5a1c8e0e-3b7d-4c55-8f4b-9d2b6c7e1f02")
MESSAGE_ID = message_id("acme", "wa-main", "in", "wamid.HBgLNDQ3OTExMTIzNDU2")


def at(hour: int, minute: int, second: int = 0, micro: int = 0) -> datetime:
    return datetime(2026, 5, 4, hour, minute, second, micro, tzinfo=UTC)


MESSAGE = InboundMessage(
    workspace_id="acme",
    channel_id="wa-main",
    channel="whatsapp",
    provider_message_id="wamid.HBgLNDQ3OTExMTIzNDU2",
    sender=Sender(address="+447911123456", name="Ada Lovelace", language="en"),
    sent_at=at(9, 30),
    received_at=at(9, 30, 1, 250_000),
    content=Content(
        type="image",
        text="Is the blue one still available? 💙",
        attachments=(
            Attachment(kind="image", url="https://files.example/blue.jpg", mime_type="image/jpeg", size=48213),
        ),
    ),
    extra=msgspec.Raw(b'{"phone_number_id":"1029384756"}'),
)
REPLY = Content(type="text", text="It is. Shall I keep it for you?", reply_to="wamid.HBgLNDQ3OTExMTIzNDU2")
ACCEPTED = outputs.accepted_value(
    outputs.encode_body(MESSAGE),
    message_id=MESSAGE_ID,
    direction="in",
    contact_id=CONTACT_ID,
    conversation_id=CONVERSATION_ID,
    profile_id="p-17",
    event_time=at(9, 30),
    revision=1,
)
ACCEPTED_LATER = outputs.accepted_value(
    outputs.encode_body(MESSAGE),
    message_id=MESSAGE_ID,
    direction="in",
    contact_id=CONTACT_ID,
    conversation_id=CONVERSATION_ID,
    profile_id="p-17",
    event_time=at(9, 30),
    revision=3,
)

INPUT_VALUES: dict[str, object] = {
    "messages.inbound": MESSAGE,
    "messages.outbound": SendRequest(
        send_id=SEND_ID,
        workspace_id="acme",
        channel_id="wa-main",
        channel="whatsapp",
        to=Recipient(contact_id=CONTACT_ID),
        content=REPLY,
        requested_at=at(9, 32, 10),
        requested_by=Requester(id="u-7", role="agent"),
        source="inbox",
    ),
    "messages.receipts": DeliveryReceipt(
        workspace_id="acme",
        channel_id="wa-main",
        send_id=SEND_ID,
        provider_message_id="wamid.HBgLNDQ3OTExMTIzNDU3",
        attempt=1,
        status="failed",
        at=at(9, 32, 12),
        error=ReceiptError(code="131026", message="Message undeliverable", permanent=True),
        contact_stopped=True,
    ),
    "contacts.commands": BlockContact(
        command_id=COMMAND_ID,
        workspace_id="acme",
        actor=Actor(id="u-7", role="agent", module="inbox"),
        issued_at=at(9, 40),
        identity=Identity(channel="whatsapp", address="+447911123456"),
        note="Abusive language",
    ),
    "workflows.events": RunStarted(
        workspace_id="acme",
        at=at(9, 30, 2),
        run_id="run-88",
        workflow_id="welcome",
        contact_id=CONTACT_ID,
        trigger="automatic",
    ),
}

DECODERS = {
    "messages.inbound": decoding.decode_inbound,
    "messages.outbound": decoding.decode_send,
    "messages.receipts": decoding.decode_receipt,
    "contacts.commands": decoding.decode_command,
    "workflows.events": decoding.decode_workflow_event,
}

OUTPUT_VALUES: dict[str, bytes | msgspec.Struct] = {
    "messages.accepted": ACCEPTED,
    "messages.dropped": outputs.MessageDropped(
        workspace_id="acme",
        message_id=MESSAGE_ID,
        contact_id=CONTACT_ID,
        channel="whatsapp",
        channel_id="wa-main",
        reason="contact_blocked",
        event_time=at(9, 30),
        decided_at=at(9, 41, 0, 500_000),
    ),
    "messages.revised": outputs.revised_to_accepted_value(ACCEPTED_LATER, reason="late_unblock", revised_at=at(10, 0)),
    "sends.dispatch": outputs.SendDispatch(
        workspace_id="acme",
        send_id=SEND_ID,
        attempt=1,
        channel_id="wa-main",
        channel="whatsapp",
        contact_id=CONTACT_ID,
        address="+447911123456",
        content=REPLY,
        source="inbox",
        group_id=None,
        confirmation=Confirmation(confirmed_by="u-2", confirmed_at=at(9, 33)),
    ),
    "sends.status": outputs.SendStatus(
        workspace_id="acme",
        send_id=SEND_ID,
        contact_id=CONTACT_ID,
        status="held",
        reason=None,
        reasons=["status_protected", "company_protected"],
        attempt=None,
        at=at(9, 32, 10, 100_000),
        actor="u-7",
        revision=1,
    ),
    "workflows.control": outputs.WorkflowControl(
        workspace_id="acme",
        run_id="run-88",
        control="run_halted",
        step_id=None,
        outcome=None,
        reason="contact_blocked",
        contact_id=CONTACT_ID,
        at=at(9, 40),
        revision=2,
    ),
    "commands.results": outputs.CommandResult(
        workspace_id="acme",
        command_id=COMMAND_ID,
        command="block_contact",
        outcome="done",
        reason=None,
        detail=None,
        changed={"runs_halted": 1, "holds_cancelled": 1, "messages_revised": 0},
    ),
    "contacts.changes": outputs.ContactChange(
        workspace_id="acme",
        contact_id=CONTACT_ID,
        display_name="Ada Lovelace",
        first_name="Ada",
        last_name=None,
        country="GB",
        language="en",
        email=None,
        phone="+447911123456",
        assignee="u-7",
        avatar_url=None,
        fields={"loyalty": "gold", "visits": 3},
        identities=[
            outputs.IdentityFact(channel="whatsapp", channel_id=None, address="+447911123456"),
            outputs.IdentityFact(channel="messenger", channel_id="fb-shop", address="7205518822"),
        ],
        tags=["vip"],
        blocked=True,
        profile_id="p-17",
        conversation_status="blocked",
        revision=5,
    ),
    "billing.mac": outputs.MacCount(
        workspace_id="acme",
        cycle_start=datetime(2026, 5, 1, tzinfo=UTC),
        cycle_end=datetime(2026, 6, 1, tzinfo=UTC),
        active_contacts=1204,
        adjustments=-1,
        status="closed",
        revision=1310,
    ),
    "billing.alerts": outputs.BillingAlert(
        workspace_id="acme",
        cycle_start=datetime(2026, 5, 1, tzinfo=UTC),
        threshold=80,
        active_contacts=1200,
        limit=1500,
        at=datetime(2026, 5, 21, 16, 4, 55, tzinfo=UTC),
    ),
    "dead.letters": outputs.dead_letter_value(b"x" * 600_000),
}


@pytest.mark.parametrize("topic", INPUT_VALUES)
def test_golden_input_decodes_to_the_expected_value(topic: str) -> None:
    assert DECODERS[topic](raw(golden(topic))) == INPUT_VALUES[topic]


@pytest.mark.parametrize("topic", OUTPUT_VALUES)
def test_golden_output_is_encoded_byte_for_byte(topic: str) -> None:
    value = OUTPUT_VALUES[topic]
    encoded = value if isinstance(value, bytes) else outputs.ENCODER.encode(value)

    assert encoded == raw(golden(topic))


@pytest.mark.parametrize("topic", OUTPUT_VALUES)
def test_golden_output_fits_its_registered_type(topic: str) -> None:
    msgspec.json.decode(raw(golden(topic)), type=TOPICS[topic].values[-1])


def test_every_topic_has_one_golden_record() -> None:
    assert {path.stem for path in GOLDEN.glob("*.json")} == set(TOPICS)
    assert set(INPUT_VALUES) | set(OUTPUT_VALUES) == set(TOPICS)


def test_reference_of_a_dead_letter_tells_size_and_hash() -> None:
    assert json.loads(outputs.dead_letter_value(b"x" * 524_289)) == {
        "size": 524_289,
        "sha256": sha256(b"x" * 524_289).hexdigest(),
    }
    assert outputs.dead_letter_value(b"\xff" * 524_288) == b"\xff" * 524_288
