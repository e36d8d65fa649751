"""The recorded day: valid and invalid records as declared, and the same in every recording."""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from uuid import UUID

import phonenumbers
import pytest

from schemas import decoding
from schemas.actors import TargetCommand
from schemas.commands import InvalidCommand
from schemas.contact_commands import BlockContact, UnblockContact
from schemas.decoding import BadRecord
from schemas.inbound import InboundMessage
from schemas.sends import SendRequest
from schemas.settings_commands import ConfirmSend, RejectSend
from schemas.topics import INPUTS
from schemas.workflow_events import RunStarted
from tools import record_day
from tools.day import DAY_START
from tools.day.cast import Person
from tools.day.stage import BARRIERS
from workers.dev import recording
from workers.dev.recording import DAY, Barrier, Recorded, open_day

DECODERS: dict[str, Callable[[bytes | None], Any]] = {
    "messages.inbound": decoding.decode_inbound,
    "messages.outbound": decoding.decode_send,
    "messages.receipts": decoding.decode_receipt,
    "contacts.commands": decoding.decode_command,
    "workflows.events": decoding.decode_workflow_event,
}
DAY_MS = int(timedelta(days=1).total_seconds() * 1000)
START_MS = int(DAY_START.timestamp() * 1000)


@cache
def recorded() -> tuple[Recorded, ...]:
    return tuple(entry for entry in open_day() if isinstance(entry, Recorded))


@cache
def decoded() -> tuple[tuple[Recorded, Any], ...]:
    return tuple((record, DECODERS[record.topic](record.value)) for record in recorded())


def values(kind: type[Any]) -> Iterator[Any]:
    return (value for _, value in decoded() if isinstance(value, kind))


def test_the_script_makes_the_shipped_recording_byte_for_byte() -> None:
    stage = record_day.record()
    folder = Path(recording.__file__).parent
    # zlib's own output may differ between builds, so what it packs is compared.
    shipped = gzip.decompress((folder / "day.jsonl.gz").read_bytes())
    assert gzip.decompress(record_day.packed(stage)) == shipped
    assert json.loads((folder / "day.expected.json").read_text(encoding="utf-8")) == record_day.figures(stage)


def test_packing_carries_no_time_of_making() -> None:
    packed = (Path(recording.__file__).parent / "day.jsonl.gz").read_bytes()
    assert packed[4:8] == b"\0\0\0\0"
    assert len(packed) < 1_500_000


def test_reading_is_lazy() -> None:
    day = open_day()
    assert isinstance(next(day), Recorded)


def test_there_are_enough_records_on_every_input_topic() -> None:
    counted = Counter(record.topic for record in recorded())
    assert counted == DAY.topics
    assert counted.total() == DAY.records >= 20_000
    assert set(counted) == {topic.name for topic in INPUTS}


def test_few_barriers_with_names_of_their_own() -> None:
    names = tuple(entry.name for entry in open_day() if isinstance(entry, Barrier))
    assert names == DAY.barriers
    assert len(set(names)) == len(names) <= 12


def test_arrival_times_never_run_backwards_and_stay_within_the_day() -> None:
    moments = [record.timestamp_ms - START_MS for record in recorded()]
    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] <= DAY_MS + 60_000


def test_what_is_not_garbage_can_be_understood() -> None:
    errors = {
        (record.topic, value.error)
        for record, value in decoded()
        if record.defect is None and isinstance(value, BadRecord)
    }
    assert not errors


def test_garbage_cannot_be_understood() -> None:
    understood = [
        record.defect for record, value in decoded() if record.defect is not None and not isinstance(value, BadRecord)
    ]
    assert not understood
    assert Counter(record.topic for record in recorded() if record.defect) == DAY.garbage


def test_commands_with_wrong_fields_have_a_readable_head() -> None:
    assert sum(1 for _ in values(InvalidCommand)) == DAY.commands["wrong_fields"] > 0


def test_oversized_records_are_made_while_reading() -> None:
    sizes = sorted(len(record.value or b"") for record in recorded())[-3:]
    assert sizes[0] < 16_384
    assert 262_144 < sizes[1] < 524_288 < sizes[2] < 1_000_000


def test_messages_repeats_and_conflicts_are_as_many_as_told() -> None:
    texts: dict[tuple[str, str, str, str], InboundMessage] = {}
    duplicates = conflicts = 0
    for message in values(InboundMessage):
        direction = "out" if message.kind == "echo" else "in"
        identity = (message.workspace_id, message.channel_id, direction, message.provider_message_id)
        first = texts.setdefault(identity, message)
        if first is not message:
            duplicates += first.content == message.content
            conflicts += first.content != message.content
    told = DAY.inbound
    assert (len(texts), duplicates, conflicts) == (told["unique_messages"], told["duplicates"], told["conflicts"])
    assert sum(direction == "out" for _, _, direction, _ in texts) == told["unique_echoes"]


def test_repeats_share_the_key_of_what_they_repeat() -> None:
    keys: dict[tuple[str, str, str, str], set[bytes | None]] = {}
    for record, message in decoded():
        if isinstance(message, InboundMessage):
            identity = (message.workspace_id, message.channel_id, message.kind, message.provider_message_id)
            keys.setdefault(identity, set()).add(record.key)
    assert all(len(of_one) == 1 for of_one in keys.values())


def test_sends_and_commands_are_as_many_as_told() -> None:
    sends = [send.send_id for send in values(SendRequest)]
    assert (len(set(sends)), len(sends) - len(set(sends))) == (DAY.sends["unique"], DAY.sends["repeats"])
    commands = [
        (value.workspace_id, value.command_id)
        for record, value in decoded()
        if record.topic == "contacts.commands" and not isinstance(value, BadRecord)
    ]
    assert (len(set(commands)), len(commands) - len(set(commands))) == (
        DAY.commands["unique"],
        DAY.commands["repeats"],
    )


def test_every_kind_of_channel_and_many_scripts_occur() -> None:
    kinds = Counter(message.channel for message in values(InboundMessage))
    assert len(kinds) == 10
    written = {text for m in values(InboundMessage) for text in (m.content.text, m.sender.name) if text}
    missing = {sample for sample in "éłшπשسहの네們ไ🌻\u200d🇯" if not any(sample in text for text in written)}
    assert not missing


def test_the_forms_of_one_phone_number_are_one_number() -> None:
    """Whatever form a person's number is delivered in, the region of its channel leads to one E.164 number."""
    for person in people().values():
        if person.channel.kind not in {"whatsapp", "sms"}:
            continue
        for form in person.forms:
            international = person.channel.kind == "whatsapp" and form.isdigit() and form.isascii()
            number = phonenumbers.parse("+" + form if international else form, person.workspace.region)
            assert phonenumbers.is_possible_number(number), form
            assert phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) == person.address


@cache
def phases() -> tuple[tuple[int, Recorded, Any], ...]:
    """Every record with the number of barriers before it."""
    numbered: list[tuple[int, Recorded]] = []
    barriers = 0
    for entry in open_day():
        if isinstance(entry, Barrier):
            barriers += 1
        else:
            numbered.append((barriers, entry))
    return tuple((phase, record, DECODERS[record.topic](record.value)) for phase, record in numbered)


@cache
def people() -> dict[tuple[str, str, str], Person]:
    """The cast by workspace, kind of channel and plain address."""
    everybody = record_day.record().cast.people.values()
    return {(p.workspace.id, p.channel.kind, p.address): p for some in everybody for p in some}


def test_commands_and_runs_name_people_who_wrote_before_the_last_barrier() -> None:
    known = people()
    barriers = [0, *(at for at, _ in BARRIERS)]
    late = [
        value
        for phase, _, value in phases()
        if isinstance(value, TargetCommand | RunStarted) and not isinstance(value, BlockContact)
        if value.identity is not None
        if (person := known.get((value.workspace_id, value.identity.channel, value.identity.address)))
        if person.known_at is None or person.known_at >= barriers[phase]
    ]
    assert not late


def test_no_send_is_judged_beside_a_block_or_an_opt_out_of_its_recipient() -> None:
    beside: dict[tuple[int, str, str, str], str] = {}
    known = people()
    for phase, _, value in phases():
        match value:
            case BlockContact() | UnblockContact() if value.identity and value.actor.module == "inbox":
                beside[phase, value.workspace_id, value.identity.channel, value.identity.address] = "block"
            case InboundMessage() if (value.content.text or "").strip().rstrip(".!").upper() in {"STOP", "START"}:
                beside[phase, value.workspace_id, value.channel, value.sender.address] = "word"
            case _:
                pass
    for phase, _, value in phases():
        if isinstance(value, SendRequest) and value.to.address is not None:
            assert (phase, value.workspace_id, value.channel, value.to.address) not in beside
            person = known.get((value.workspace_id, value.channel, value.to.address))
            forms = person.forms if person and person.role != "spammer" else ()
            assert not [form for form in forms if (phase, value.workspace_id, value.channel, form) in beside]


def test_a_hold_is_decided_after_its_phase_and_once_a_phase() -> None:
    asked: dict[str, int] = {}
    decided = Counter[tuple[int, str]]()
    given = set[UUID]()
    for phase, _, value in phases():
        if isinstance(value, SendRequest):
            asked[str(value.send_id)] = max(phase, asked.get(str(value.send_id), 0))
            if value.group_id is not None:
                asked[value.group_id] = max(phase, asked.get(value.group_id, 0))
        elif isinstance(value, ConfirmSend | RejectSend) and value.command_id not in given:
            given.add(value.command_id)
            what = value.group_id or str(value.send_id)
            decided[phase, what] += 1
            assert asked.get(what, 0) < phase
    assert set(decided.values()) == {1}


@pytest.mark.parametrize(
    "phenomenon",
    [
        "spammer",
        "blocked by mistake",
        "hold confirmed",
        "hold rejected",
        "child run",
        "merge undone",
        "contact deleted",
    ],
)
def test_the_day_has(phenomenon: str) -> None:
    assert DAY.phenomena[phenomenon] > 0
