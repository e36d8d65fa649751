"""Outputs as the contract promises them: headers, keys, columns, order, and the state of compacted topics at rest."""

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

import pytest_asyncio

from schemas.topics import OUTPUTS
from tests.acceptance.schema import breaches
from tests.acceptance.stage import PHONE, WHATSAPP, Json, Published, Stage, Workspace, at, identity, named

INBOUND: Final = "workspace_id channel_id channel provider_message_id sender sent_at received_at kind content extra"
ACCEPTED: Final = f"{INBOUND} message_id direction contact_id conversation_id profile_id event_time revision"
REVISED: Final = "workspace_id message_id contact_id from to reason revised_at revision"
COLUMNS: Final = {
    "messages.accepted": ACCEPTED,
    "messages.dropped": "workspace_id message_id contact_id channel channel_id reason event_time decided_at",
    "sends.dispatch": (
        "workspace_id send_id attempt channel_id channel contact_id address content source group_id confirmation"
    ),
    "sends.status": "workspace_id send_id contact_id status reason reasons attempt at actor revision",
    "workflows.control": "workspace_id run_id control step_id outcome reason contact_id at revision",
    "commands.results": "workspace_id command_id command outcome reason detail changed",
    "contacts.changes": (
        "workspace_id contact_id display_name first_name last_name country language email phone assignee avatar_url"
        " fields identities tags blocked profile_id conversation_status revision"
    ),
    "billing.mac": "workspace_id cycle_start cycle_end active_contacts adjustments status revision",
}
KEYS: Final = {
    "sends.dispatch": "channel_id",
    "sends.status": "send_id",
    "workflows.control": "run_id",
    "commands.results": "command_id",
    "contacts.changes": "contact_id",
    "billing.mac": "cycle_start",
}
MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def traceparent(fact: Json) -> bytes:
    """A trace of its own for every record."""
    return f"00-{hashlib.md5(repr(fact).encode(), usedforsecurity=False).hexdigest()}-00f067aa0ba902b7-01".encode()


class Day:
    """Facts that lead to something on every output topic, each with a trace of its own."""

    def __init__(self, workspace: Workspace) -> None:
        ws = self.workspace = workspace
        other = "+4915100000001"
        self.covered = ws.message("covered", at=at(15))
        self.after = ws.message("after", at=at(25))
        self.dropped = ws.message("dropped", at=at(16))
        self.block = ws.command("block_contact", identity=WHATSAPP, at=at(10))
        self.unblock = ws.command("unblock_contact", identity=WHATSAPP, at=at(20))
        self.start = ws.event("run_started", "r1", at=at(5))
        self.plain = ws.send("plain", to={"address": other}, at=at(30))
        self.held = ws.send("held", source="workflow", run_id="r2", step_id="s1", at=at(30))
        self.reject = ws.command("reject_send", send_id=self.held["send_id"])
        self.events = [
            ws.message("hello", at=at(0)),
            self.start,
            ws.event("step_requested", "r1", step_id="s1", action="add_tag", at=at(6)),
            self.covered,
            self.after,
            self.block,
            self.dropped,
            self.unblock,
            ws.event("run_started", "r3", at=at(15)),
            ws.command("create_profile", profile_id="p1", name="Ana"),
            ws.command("attach_contact", profile_id="p1", identity=WHATSAPP),
            ws.command("define_status", name="vip", protected=True),
            ws.command("set_profile_status", profile_id="p1", status="vip"),
            ws.event("run_started", "r2", at=at(28)),
            self.plain,
            self.held,
            ws.receipt(self.plain, "delivered"),
            self.reject,
        ]

    async def play(self) -> None:
        for fact in self.events:
            await self.workspace.play(fact, headers=[("traceparent", traceparent(fact))])

    async def everything(self) -> dict[str, list[Published]]:
        """Outputs by topic."""
        return {topic: await self.workspace.outputs(topic) for topic in ("messages.revised", *COLUMNS)}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def day(stage: Stage) -> Day:
    played = Day(Workspace(stage, f"w-{uuid4().hex[:12]}"))
    await played.play()
    return played


async def test_every_output_carries_cloud_events_headers(day: Day) -> None:
    everything = await day.everything()
    assert all(everything.values())
    for topic, outputs in everything.items():
        for out in outputs:
            names = [name for name, _ in out.headers if name != "traceparent"]
            assert sorted(names) == ["ce_id", "ce_source", "ce_specversion", "ce_time", "ce_type", "content-type"]
            head = out.head
            assert head["ce_specversion"] == "1.0"
            assert UUID(head["ce_id"]).version == 5
            assert head["ce_type"] == f"sluice.{topic}"
            assert head["ce_source"] == f"/sluice/{day.workspace.id}"
            assert MOMENT.fullmatch(head["ce_time"])
            assert head["content-type"] == "application/json"


async def test_values_have_the_columns_of_the_contract_and_match_the_published_schemas(day: Day) -> None:
    everything = await day.everything()
    assert {*everything, "dead.letters", "billing.alerts"} == {spec.name for spec in OUTPUTS}
    for topic, outputs in everything.items():
        for value in (out.value for out in outputs):
            columns = COLUMNS.get(topic) or (f"{REVISED} {ACCEPTED}" if value["to"] == "accepted" else REVISED)
            assert set(value) == set(columns.split()), topic
            assert breaches(topic, value) == []
            moments = {"at", "event_time", "sent_at", "received_at", "decided_at", "revised_at", "cycle_start"}
            assert all(MOMENT.fullmatch(value[name]) for name in moments & value.keys() if value[name] is not None)


async def test_keys_are_those_of_the_contract(day: Day) -> None:
    for topic, outputs in (await day.everything()).items():
        for out in outputs:
            rest = out.value[KEYS[topic]] if topic in KEYS else f"whatsapp:{PHONE}"
            assert out.key == f"{day.workspace.id}:{rest}".encode(), topic


async def test_traceparent_is_carried_from_input_to_output(day: Day) -> None:
    everything = await day.everything()

    def traces(topic: str, **equal: Any) -> set[bytes | None]:
        outputs = named(everything[topic], **equal)
        assert outputs
        return {dict(out.headers).get("traceparent") for out in outputs}

    assert traces("messages.accepted", provider_message_id=day.after["provider_message_id"]) == {traceparent(day.after)}
    assert traces("messages.dropped") == {traceparent(day.dropped)}
    assert traces("messages.revised", reason="late_block") == {traceparent(day.block)}
    assert traces("messages.revised", reason="late_unblock") == {traceparent(day.unblock)}
    assert traces("workflows.control", control="run_halted") == {traceparent(day.block)}
    assert traces("workflows.control", control="step_resolved") == {traceparent(day.reject)}
    assert traces("sends.dispatch", send_id=day.plain["send_id"]) == {traceparent(day.plain)}
    assert traces("sends.status", status="rejected") == {traceparent(day.reject)}
    assert traces("commands.results", command_id=day.reject["command_id"]) == {traceparent(day.reject)}


async def test_an_accepted_message_carries_the_inbound_fields_unchanged(workspace: Workspace) -> None:
    attachment = {"kind": "image", "url": "https://cdn.example.org/1", "mime_type": "image/png", "size": 7, "name": "1"}
    content = {
        "type": "image",
        "text": "Grüße 👋",
        "subject": "s",
        "html": "<b>h</b>",
        "reply_to": "m0",
        "attachments": [attachment],
    }
    extra = {"big": 12345678901234567890, "nested": {"list": [1, 2.5, None, True]}}
    sender = {"address": PHONE, "name": "Ana", "language": "de", "avatar_url": "https://cdn.example.org/a"}
    unknown = {"unknown": 1}
    message = workspace.message(at=at(0), content=content | unknown, sender=sender | unknown, extra=extra, more=unknown)
    odd = workspace.message(at=at(1), content={"type": "hologram"}, received_at="2025-03-10T14:01:00+02:00")
    await workspace.play(message, odd)

    value, other = await workspace.values("messages.accepted")
    assert value["content"] == content | {"template": None}
    assert (value["sender"], value["extra"]) == (sender, extra)
    assert other["content"] == dict.fromkeys(content) | {"type": "other", "template": None}
    assert other["received_at"] == other["event_time"] == "2025-03-10T12:01:00Z"
    assert other["extra"] is None


async def test_a_missing_or_unexpected_key_is_accepted_and_the_key_goes_out_as_it_came(workspace: Workspace) -> None:
    def raw(text: str) -> bytes:
        message = workspace.message(text)
        return json.dumps(message, default=str).encode()

    await workspace.stage.publish("messages.inbound", (b"unexpected", raw("one")), (None, raw("two")))
    await workspace.stage.applied()
    keys = {out.value["content"]["text"]: out.key for out in await workspace.outputs("messages.accepted")}
    assert keys.keys() == {"one", "two"}
    assert keys["one"] == b"unexpected"


async def test_a_revision_has_the_key_of_the_message_however_its_address_is_spelt(workspace: Workspace) -> None:
    block = workspace.command("block_contact", identity=WHATSAPP, at=at(10))
    release = workspace.command("release_dropped", identity=WHATSAPP, **{"from": at(0), "to": at(60)})
    await workspace.play(workspace.message(at=at(15), address="0049 151 12345678"), block)
    await workspace.play(workspace.command("unblock_contact", identity=WHATSAPP, at=at(20)), release)

    keys = [out.key for topic in ("messages.accepted", "messages.revised") for out in await workspace.outputs(topic)]
    assert keys == [f"{workspace.id}:whatsapp:0049 151 12345678".encode()] * 3


async def test_first_occurrences_are_in_order_per_key(workspace: Workspace) -> None:
    people = [f"+491510000000{n}" for n in range(3)]
    said = [workspace.message(str(n), at=at(n), address=people[n % 3]) for n in range(30)]
    block = workspace.command("block_contact", identity=identity(people[0]), at=at(12))
    await workspace.play_together(*said[:20], *said[5:15], *said[20:])
    await workspace.play(block, block)

    by_key: dict[bytes | None, list[int]] = defaultdict(list)
    for out in _first(await workspace.outputs("messages.accepted")):
        by_key[out.key].append(int(out.value["content"]["text"]))
    assert sorted(by_key.values()) == [[*range(n, 30, 3)] for n in range(3)]
    results = await workspace.outputs("commands.results")
    assert [out.value["changed"]["messages_revised"] for out in results] == [6, 6]
    assert len({out.head["ce_id"] for out in results}) == 1


async def test_revisions_grow_with_every_new_state_of_a_key(day: Day) -> None:
    everything = await day.everything()
    abouts = {"sends.status": "send_id", "workflows.control": "run_id", "messages.revised": "message_id"}
    for topic, about in abouts.items():
        revisions: dict[str, list[int]] = defaultdict(list)
        for out in _first(everything[topic]):
            revisions[out.value[about]].append(out.value["revision"])
        # Several steps are answered in one state of a run; of sends and messages every fact is a new state.
        once = topic != "workflows.control"
        assert all(sorted(set(found) if once else found) == found for found in revisions.values()), topic
    held = [out.value["status"] for out in named(everything["sends.status"], send_id=day.held["send_id"])]
    assert held == ["held", "rejected"]


def _first(outputs: Sequence[Published]) -> list[Published]:
    return list({out.head["ce_id"]: out for out in reversed(outputs)}.values())[::-1]


async def test_compacted_topics_end_with_the_newest_revision(day: Day) -> None:
    ws = day.workspace
    # Keep both topics busy: many changes of one contact, of several from several partitions.
    people = [f"+491510000001{n}" for n in range(5)]
    for turn in range(4):
        names = [{"address": address, "name": f"{address} {turn}"} for address in people]
        await ws.play_together(*(ws.message(at=at(40 + turn), sender=sender) for sender in names))
        verb = "unblock_contact" if turn % 2 else "block_contact"
        await ws.play_together(*(ws.command(verb, identity=identity(a), at=at(50 + turn)) for a in people))

    last = {out.key: out.value for out in await ws.outputs("contacts.changes")}
    contacts = await ws.rows("contact_overview")
    assert len(last) == len(contacts) == 7
    for row in contacts:
        value = last[f"{ws.id}:{row['contact_id']}".encode()]
        shared = value.keys() & row.keys() - {"contact_id"}
        assert {name: value[name] for name in shared} == {name: row[name] for name in shared}
        [address] = value["identities"]
        assert address == {"channel": "whatsapp", "channel_id": None, "address": row["phone"]}

    counts = {out.key: out.value for out in await ws.outputs("billing.mac")}
    rows = await ws.rows("mac_counts")
    assert len(counts) == len(rows)
    for row in rows:
        start = f"{row['cycle_start']:%Y-%m-%dT%H:%M:%SZ}"
        value = counts[f"{ws.id}:{start}".encode()]
        for name in ("active_contacts", "adjustments", "status", "revision"):
            assert value[name] == row[name]
