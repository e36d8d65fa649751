"""What is a send, a receipt and a workflow event, and what is a dead letter."""

from datetime import UTC, datetime

import pytest

from schemas.decoding import BadRecord, decode_inbound, decode_receipt, decode_send, decode_workflow_event
from schemas.inbound import InboundMessage
from schemas.receipts import DeliveryReceipt
from schemas.sends import InvalidSend, SendRequest
from schemas.workflow_events import RunFinished, RunStarted, StepRequested
from tests.schemas.samples import CONTACT, golden, raw


def bad_send(**changes: object) -> bool:
    return not isinstance(decode_send(raw({**golden("messages.outbound"), **changes})), SendRequest)


def test_send_goes_to_exactly_one_recipient() -> None:
    assert not bad_send(to={"address": "+447911123456"})
    assert not bad_send(to={"address": "+447911123456", "contact_id": None})
    assert bad_send(to={})
    assert bad_send(to={"address": "+447911123456", "contact_id": CONTACT})


@pytest.mark.parametrize("field", ["send_id", "to", "content", "requested_at", "requested_by", "source"])
def test_send_needs_all_its_parts(field: str) -> None:
    assert bad_send(**{field: None})


def test_a_send_whose_ids_can_be_read_is_invalid_and_keeps_what_fits() -> None:
    good = golden("messages.outbound") | {"group_id": "spring"}
    bad = decode_send(raw(good | {"to": {"address": "x" * 321}}))

    assert isinstance(bad, InvalidSend)
    assert (bad.workspace_id, str(bad.send_id)) == (good["workspace_id"], good["send_id"])
    assert (bad.channel, bad.group_id) == (good["channel"], "spring")
    assert "to.address" in bad.error
    assert bad.error.endswith("got a text of 321 characters")


@pytest.mark.parametrize("field", ["channel", "group_id"])
def test_of_an_invalid_send_what_does_not_fit_is_left_out(field: str) -> None:
    bad = decode_send(raw(golden("messages.outbound") | {field: ["pigeon"]}))

    assert isinstance(bad, InvalidSend)
    assert getattr(bad, field) is None


@pytest.mark.parametrize(
    "changes", [{"send_id": "1"}, {"send_id": None}, {"workspace_id": "a b"}, {"workspace_id": 7}, {"to": "\0"}]
)
def test_a_send_without_readable_ids_is_a_dead_letter(changes: dict[str, object]) -> None:
    assert isinstance(decode_send(raw(golden("messages.outbound") | changes)), BadRecord)


NOTHING: list[dict[str, object]] = [
    {"type": "text"},
    {"type": "text", "text": "", "html": "", "subject": ""},
    {"type": "text", "text": None, "attachments": None, "template": None},
    {"type": "image", "attachments": []},
    {"type": "text", "reply_to": "m-1"},
]


@pytest.mark.parametrize("content", NOTHING)
def test_a_send_without_anything_to_send_is_refused(content: dict[str, object]) -> None:
    send = decode_send(raw({**golden("messages.outbound"), "content": content}))

    assert isinstance(send, InvalidSend)
    assert send.error.startswith("Expected `text`, `subject`, `html`, `attachments` or `template` in `content`; got ")


@pytest.mark.parametrize(
    "content",
    [
        {"text": "x"},
        {"text": "", "subject": "x"},
        {"html": "<p>"},
        {"attachments": [{"kind": "image", "url": ""}]},
        {"template": {"name": "t", "language": "en"}},
    ],
)
def test_a_send_with_anything_to_send_is_read(content: dict[str, object]) -> None:
    assert not bad_send(content={"type": "text", **content})


@pytest.mark.parametrize("content", NOTHING)
def test_a_message_may_say_nothing(content: dict[str, object]) -> None:
    assert isinstance(decode_inbound(raw({**golden("messages.inbound"), "content": content})), InboundMessage)


def test_confirmation_of_a_send_is_read() -> None:
    confirmation = {"confirmed_by": "u-2", "confirmed_at": "2026-05-04T11:33:00+02:00"}
    send = decode_send(raw({**golden("messages.outbound"), "confirmation": confirmation, "group_id": "spring"}))

    assert isinstance(send, SendRequest)
    assert send.confirmation is not None
    assert send.confirmation.confirmed_at == datetime(2026, 5, 4, 9, 33, tzinfo=UTC)


def receipt(**changes: object) -> DeliveryReceipt | BadRecord:
    return decode_receipt(raw({**golden("messages.receipts"), **changes}))


def test_receipt_names_its_send_or_the_providers_id() -> None:
    assert isinstance(receipt(send_id=None), DeliveryReceipt)
    assert isinstance(receipt(provider_message_id=None), DeliveryReceipt)
    assert receipt(send_id=None, provider_message_id=None) == BadRecord("Expected `send_id` or `provider_message_id`")


@pytest.mark.parametrize("changes", [{"attempt": 0}, {"attempt": 2**31}, {"status": "lost"}, {"at": None}])
def test_impossible_receipt_is_bad(changes: dict[str, object]) -> None:
    assert isinstance(receipt(**changes), BadRecord)


def test_numeric_error_code_reads_as_text() -> None:
    read = receipt(error={"code": 131026})

    assert isinstance(read, DeliveryReceipt)
    assert read.error is not None
    assert read.error.code == "131026"
    assert read.error.permanent is False


def test_workflow_events_are_told_apart() -> None:
    head = {"workspace_id": "acme", "at": "2026-05-04T09:30:02Z", "run_id": "run-88"}
    step = {**head, "event": "step_requested", "step_id": "s-1", "action": "ask_question"}
    started = {**head, "event": "run_started", "workflow_id": "w", "trigger": "shortcut", "contact_id": CONTACT}

    assert isinstance(decode_workflow_event(raw(step)), StepRequested)
    assert isinstance(decode_workflow_event(raw({**head, "event": "run_finished", "outcome": "done"})), RunFinished)
    assert isinstance(decode_workflow_event(raw(started)), RunStarted)
    assert isinstance(decode_workflow_event(raw({**started, "contact_id": None})), BadRecord)
    assert isinstance(decode_workflow_event(raw({**step, "action": "dance"})), BadRecord)
    assert decode_workflow_event(raw({**head, "event": "run_paused"})) == BadRecord(
        "Unknown value - at `$.event`; expected one of run_started, step_requested, run_finished"
    )
