"""What is a send, a receipt and a workflow event, and what is a dead letter."""

from datetime import UTC, datetime

import pytest

from schemas.decoding import BadRecord, decode_receipt, decode_send, decode_workflow_event
from schemas.receipts import DeliveryReceipt
from schemas.sends import SendRequest
from schemas.workflow_events import RunFinished, RunStarted, StepRequested
from tests.schemas.samples import CONTACT, golden, raw


def bad_send(**changes: object) -> bool:
    return isinstance(decode_send(raw({**golden("messages.outbound"), **changes})), BadRecord)


def test_send_goes_to_exactly_one_recipient() -> None:
    assert not bad_send(to={"address": "+447911123456"})
    assert not bad_send(to={"address": "+447911123456", "contact_id": None})
    assert bad_send(to={})
    assert bad_send(to={"address": "+447911123456", "contact_id": CONTACT})


@pytest.mark.parametrize("field", ["send_id", "to", "content", "requested_at", "requested_by", "source"])
def test_send_needs_all_its_parts(field: str) -> None:
    assert bad_send(**{field: None})


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
