"""Rules that exist in Python and, for whole tables, in SQL: both agree over generated states."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.fields import WorkspaceId
from tests.store.worlds import GENERATED, NOW, Someone, World, add, histories, load, moments, words
from tests.support.databases import InATransaction
from tests.workers.records import WORKSPACE, uuid_of
from workers.messages.recounting import recount
from workers.messages.reevaluation import events_of
from workers.rules.blocks import Interval, first_change, last_change
from workers.rules.closing import EVER
from workers.rules.conversations import Conversation, opens
from workers.rules.conversations import status as conversation_status
from workers.rules.cycles import FIRST_INSTANT, Calendar, Setting, calendar_of
from workers.rules.holds import Expired, rejecting
from workers.rules.inbound import OUTBOUND_KINDS, Dropped, Facts, MessageVerdict, judge
from workers.rules.last_write_wins import WriteStamp
from workers.rules.settings import WORKSPACE_DEFAULTS, holds_at_once
from workers.rules.workflows import Run, RunKey, with_finish, with_step
from workers.rules.workflows import judge as judge_run
from workers.store import contacts, messages, sends, workflows, workspaces
from workers.store import conversations as stored_conversations
from workers.store.connection import Connection
from workers.store.messages import MessageRow

KINDS: Final = ("message", "reaction", "echo", "send", "broadcast")
SOON: Final = datetime(2200, 1, 1, tzinfo=UTC)


instants = st.integers(-4, 4).map(lambda months: NOW + timedelta(days=30 * months))
boundaries = st.integers(-3, 3).map(
    lambda months: datetime(NOW.year + (NOW.month - 1 + months) // 12, (NOW.month - 1 + months) % 12 + 1, 1, tzinfo=UTC)
)
times = moments | instants | boundaries


@dataclass(frozen=True)
class Said:
    """A message; one whose content was erased can only have been dropped."""

    kind: str
    channel_id: str
    at: datetime
    released: bool
    erased: bool


said = st.builds(
    Said,
    kind=st.sampled_from(KINDS),
    channel_id=st.sampled_from(["main", "test"]),
    at=times,
    released=st.booleans(),
    erased=st.booleans(),
)

VALUES: Final[dict[str, st.SearchStrategy[Any]]] = {
    "time_zone": st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo"]),
    "anchor_day": st.integers(1, 31),
    "mac_block_effect": st.sampled_from(["next_cycle", "immediate"]),
    "count_broadcasts": st.booleans(),
    "count_reactions": st.booleans(),
    "close_grace_hours": st.integers(0, 100),
    "mac_limit": st.none() | st.integers(1, 9),
    "default_region": st.none() | st.sampled_from(["DE", "BR"]),
    "quarantine_days": st.integers(0, 30),
    "hold_ttl_hours": st.integers(1, 90),
    "claim_ttl_hours": st.integers(1, 90),
    "message_retention_days": st.none() | st.integers(1, 90),
    "merge_undo_hours": st.integers(0, 90),
    "two_person_confirm": st.booleans(),
}
OF_CHANNELS: Final[dict[str, st.SearchStrategy[Any]]] = {
    "name": st.none() | st.sampled_from(["Main", "Test"]),
    "default_region": st.none() | st.sampled_from(["DE", "BR"]),
    "count": st.booleans(),
}


def _set(channel_id: str, values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Setting]:
    return st.sampled_from(sorted(values)).flatmap(
        lambda name: st.builds(
            Setting, instants, st.uuids(), st.just(channel_id), st.just(name), values[name], *[st.none()] * 3
        )
    )


_any_setting = _set("", VALUES) | _set("main", OF_CHANNELS) | _set("test", OF_CHANNELS)
logs = st.lists(_any_setting, max_size=20, unique_by=lambda s: s.command_id)


@GENERATED
@given(logs)
def test_settings(in_a_transaction: InATransaction, log: list[Setting]) -> None:
    async def compare(tx: Connection) -> None:
        tenant = await configured(tx, log)
        shown = dict(await tx.fetchrow("SELECT * FROM workspace_settings"))
        held = {**vars_of(tenant.calendar.at(SOON)[1]), **vars_of(tenant.policies)}
        assert {name: shown[name] for name in WORKSPACE_DEFAULTS} == {name: held[name] for name in WORKSPACE_DEFAULTS}
        for channel in await tx.fetch("SELECT * FROM sluice.channels"):
            uncounted = channel["channel_id"] in tenant.calendar.at(SOON)[1].uncounted_channels
            assert channel["count"] is not uncounted
            region = channel["default_region"] or tenant.policies.default_region
            assert tenant.region(channel["channel_id"]) == region

    in_a_transaction(compare)


# Few, so that they often coincide, and before now.
hours = st.integers(-5, -1).map(lambda number: NOW + timedelta(hours=number))
_stamps = st.none() | st.builds(WriteStamp, hours, st.uuids())


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """As commands and messages leave them."""
    moved = draw(_stamps)
    opened, snoozed = draw(st.booleans()), draw(_stamps)
    if snoozed is not None and not snoozed.beats(moved):
        snoozed = None
    return Conversation(
        draw(st.none() | hours),
        moved.at if moved and not opened else None,
        moved.at if moved and opened else None,
        moved,
        snoozed,
        draw(st.sampled_from([None, NOW - timedelta(minutes=1), SOON, SOON])) if snoozed else None,
    )


@GENERATED
@given(st.lists(st.tuples(histories(hours), conversations()), min_size=1, max_size=12))
def test_conversation_status(
    in_a_transaction: InATransaction, states: list[tuple[tuple[Interval, ...], Conversation]]
) -> None:
    people = {(WORKSPACE, uuid_of(f"c{n}")): state for n, state in enumerate(states)}

    async def compare(tx: Connection) -> None:
        await load(tx, World([Someone(key[1], blocks) for key, (blocks, _) in people.items()]))
        await stored_conversations.save(tx, {key: c for key, (_, c) in people.items()}, ())
        assert await stored_conversations.load(tx, people) == {key: c for key, (_, c) in people.items()}
        now = await tx.fetchval("SELECT now()")
        shown = await tx.fetch("SELECT contact_id, conversation_status, blocked FROM contact_overview")
        expected = {key[1]: conversation_status(c, blocks, now) for key, (blocks, c) in people.items()}
        assert {row[0]: (row[1], row[2]) for row in shown} == {
            id_: (status, status == "blocked") for id_, status in expected.items()
        }
        blocked = {id_ for id_, status in expected.items() if status == "blocked"}
        listed = {row[0] for row in await tx.fetch("SELECT contact_id FROM contact_list")}
        since = dict(await tx.fetch("SELECT contact_id, blocked_at FROM blocked_contacts"))
        assert listed == expected.keys() - blocked
        assert since == {key[1]: blocks[-1].start for key, (blocks, _) in people.items() if key[1] in blocked}

    in_a_transaction(compare)


@GENERATED
@given(logs, histories(times), st.lists(said, max_size=30))
def test_what_counts(
    in_a_transaction: InATransaction, log: list[Setting], blocks: tuple[Interval, ...], told: list[Said]
) -> None:
    async def compare(tx: Connection) -> None:
        await load(tx, World([Someone(uuid_of("ana"), blocks)]))
        before, tenant = calendar_of([]), await configured(tx, log)
        verdicts = await store(tx, told, blocks, before)
        await tx.execute("UPDATE workspaces SET first_message_at = $1", NOW - timedelta(days=300))
        await recount(tx, {WORKSPACE: FIRST_INSTANT}, {WORKSPACE: uuid_of("command")}, NOW)
        found = await tx.fetch("SELECT message_id, counted, mac_rule FROM messages")
        expected = {id_: judge(facts, blocks, tenant.calendar) for id_, (facts, _) in verdicts.items()}
        assert {row[0]: (row[1], row[2]) for row in found} == {
            id_: (v.counted, v.rule if isinstance(v, Dropped) else None) for id_, v in expected.items()
        }
        proofs: dict[datetime, tuple[datetime, UUID]] = {}
        for id_, v in expected.items():
            if v.counted:
                proof = verdicts[id_][0].event_time, id_
                proofs[v.cycle.start] = min(proof, proofs.get(v.cycle.start, proof))
        rows = await tx.fetch("SELECT cycle_start, first_counted_at, first_message_id FROM mac_contacts")
        assert {row[0]: (row[1], row[2]) for row in rows} == proofs

    in_a_transaction(compare)


@GENERATED
@given(histories(times), histories(times), st.lists(said, max_size=30), st.none() | moments)
def test_what_a_changed_history_revises(
    in_a_transaction: InATransaction,
    before: tuple[Interval, ...],
    after: tuple[Interval, ...],
    told: list[Said],
    closed_at: datetime | None,
) -> None:
    key, calendar = (WORKSPACE, uuid_of("ana")), calendar_of([])

    async def compare(tx: Connection) -> None:
        await load(tx, World([Someone(key[1], before)]))
        verdicts = await store(tx, told, before, calendar)
        await contacts.save_blocks(tx, {key: after})
        since = first_change(before, after)
        if since is None:
            return
        spans = {key: (since, last_change(before, after))}
        found, complete = await messages.stale(tx, spans, 1000)
        stale = {m.message_id: m for m in found}
        assert complete
        again = {id_: judge(facts, after, calendar) for id_, (facts, _) in verdicts.items()}
        assert stale.keys() == {
            id_
            for id_, (facts, verdict) in verdicts.items()
            if facts.kind not in ("send", "broadcast") and verdict.block_start != again[id_].block_start
        }
        flips = {id_ for id_, (_, v) in verdicts.items() if isinstance(v, Dropped) != isinstance(again[id_], Dropped)}
        assert flips <= stale.keys()
        assert (await messages.count_flips(tx, spans))[key] == len(flips)
        assert all(events_of(stale[id_]) == verdicts[id_][0] for id_ in stale)

        for closed in {closed_at, *sorted(m.at for m in told)[-3:]}:
            opening = [f.event_time for f, v in verdicts.values() if _opens(f, v, closed)]
            witnesses = await messages.opening_messages(tx, {key: closed})
            assert witnesses == ({key: max(opening)} if opening else {}, set())

    in_a_transaction(compare)


@GENERATED
@given(histories(times), st.lists(said, max_size=30))
def test_what_is_shown(in_a_transaction: InATransaction, blocks: tuple[Interval, ...], told: list[Said]) -> None:
    async def compare(tx: Connection) -> None:
        await load(tx, World([Someone(uuid_of("ana"), blocks)]))
        verdicts = await store(tx, told, blocks, calendar_of([]))
        shown = await tx.fetch("SELECT message_id, direction, bypassed_block FROM conversation_messages")
        assert {row[0]: (row[1], row[2]) for row in shown} == {
            id_: ("out" if f.kind in OUTBOUND_KINDS else "in", f.kind == "echo" and v.block_start is not None)
            for id_, (f, v) in verdicts.items()
            if not isinstance(v, Dropped)
        }
        ledger = await tx.fetch("SELECT message_id, reason, rule, counted FROM drop_ledger")
        assert {row[0]: tuple(row)[1:] for row in ledger} == {
            id_: (v.reason, v.rule, v.counted) for id_, (_, v) in verdicts.items() if isinstance(v, Dropped)
        }

    in_a_transaction(compare)


@st.composite
def runs(draw: st.DrawFn, name: str) -> Run:
    run = Run(WORKSPACE, name, "w", uuid_of("ana"), draw(st.sampled_from(["automatic", "shortcut"])), draw(moments))
    if draw(st.booleans()):
        run = with_step(run, "step", draw(st.sampled_from(["send_message", "wait"])), draw(moments))
    return with_finish(run, draw(moments), "completed") if draw(st.booleans()) else run


@GENERATED
@given(histories(), histories(), st.tuples(*[runs(f"r{n}") for n in range(12)]))
def test_which_runs_a_changed_history_concerns(
    in_a_transaction: InATransaction,
    before: tuple[Interval, ...],
    after: tuple[Interval, ...],
    started: tuple[Run, ...],
) -> None:
    """Whatever is not looked at again would be judged as it was."""
    judged = [judge_run(run, before, None) for run in started]
    since, contact = first_change(before, after), (WORKSPACE, uuid_of("ana"))

    async def compare(tx: Connection) -> None:
        await workflows.add(tx, judged)
        spans = {contact: (since, last_change(before, after))} if since is not None else {}
        concerned = (await workflows.of_contacts(tx, spans, 100)).get(contact, [])
        paged: list[RunKey] = []
        if since is not None:
            place, until = workflows.RunPlace(running=False, at=since, run_id=""), spans[contact][1]
            while page := await workflows.of_contact(tx, contact, place, until, limit=2):
                place = page[-1][1]
                paged += (key for key, _ in page)
        assert paged == concerned
        left = [run for run in judged if run.key not in concerned]
        assert [judge_run(run, after, None) for run in left] == left

    in_a_transaction(compare)


@GENERATED
@given(st.lists(st.tuples(st.sampled_from(["held", "released", "cancelled"]), st.integers(-1, 1)), max_size=9))
def test_which_holds_are_over(in_a_transaction: InATransaction, drawn: list[tuple[str, int]]) -> None:
    ends = [(status, NOW + timedelta(microseconds=n)) for status, n in drawn]

    async def compare(tx: Connection) -> None:
        await add(tx, "sends", [
            {"workspace_id": WORKSPACE, "send_id": uuid_of(f"s{n}"), "channel": "sms", "channel_id": "main",
             "understood": True, "content": {}, "source": "inbox", "requested_by": "ann", "requested_role": "agent",
             "requested_at": NOW, "status": status, "reasons": [], "reason_keys": [], "confirmed_keys": [],
             "attempt": 0, "best_attempt": 0, "revision": 1, "expires_at": end, "applied_at": NOW, "updated_at": NOW}
            for n, (status, end) in enumerate(ends)
        ])  # fmt: skip
        over = {send_id for _, send_id in await sends.lock_expired(tx, NOW, 100)}
        assert over == {
            uuid_of(f"s{n}") for n, (status, end) in enumerate(ends) if rejecting(status, end, NOW) == Expired()
        }

    in_a_transaction(compare)


@GENERATED
@given(st.lists(st.from_regex(r"[A-Za-z0-9_.-]{0,66}\n?", fullmatch=True) | words, max_size=20))
def test_what_names_a_workspace(in_a_transaction: InATransaction, names: list[str]) -> None:
    async def compare(tx: Connection) -> None:
        check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'workspaces_workspace_id_check'"
        condition = str(await tx.fetchval(check)).removeprefix("CHECK ")
        rows = await tx.fetch(f"SELECT {condition} FROM unnest($1::text[]) AS t (workspace_id)", names)  # noqa: S608
        assert [row[0] for row in rows] == [_is_valid(name) for name in names]

    in_a_transaction(compare)


async def configured(tx: Connection, log: Sequence[Setting]) -> workspaces.Workspace:
    await workspaces.share(tx, {(WORKSPACE, "main", "sms"), (WORKSPACE, "test", "sms")})
    await tx.execute("DELETE FROM settings_log")
    await workspaces.add_settings(tx, [(WORKSPACE, setting) for setting in log])
    await tx.execute("DELETE FROM effective_settings")
    await workspaces.hold_settings(tx, {WORKSPACE: log})
    at_once = [s for s in log if holds_at_once(s.channel_id, s.name)]
    await workspaces.hold_at_once(tx, {(WORKSPACE, s.channel_id, s.name): EVER for s in at_once})
    return (await workspaces.share(tx, {(WORKSPACE, "", "")}))[WORKSPACE]


def vars_of(settings: Any) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in type(settings).__dataclass_fields__}


async def store(
    tx: Connection, told: Sequence[Said], blocks: tuple[Interval, ...], calendar: Calendar
) -> dict[UUID, tuple[Facts, MessageVerdict]]:
    """The messages of a contact as they were judged by this history."""
    await add(tx, "identities", [
        {"workspace_id": WORKSPACE, "identity_id": 1_000_000, "channel": "sms", "scope": "", "lookup": "+49",
         "address": "+49", "contact_id": uuid_of("ana"), "opted_out": False}
    ])  # fmt: skip
    generation = (await messages.look_up(tx, [])).generation
    judged: dict[UUID, tuple[Facts, MessageVerdict]] = {}
    rows = []
    released = set()
    for number, m in enumerate(told):
        facts = Facts(m.kind, m.channel_id, m.at, released=m.released and m.kind in ("message", "reaction"))
        verdict = judge(facts, blocks, calendar)
        dropped = verdict if isinstance(verdict, Dropped) else None
        if dropped and m.erased:
            facts = Facts(m.kind, m.channel_id, m.at, erased=True)
        id_ = uuid_of(f"m{number}")
        judged[id_] = facts, verdict
        if facts.released:
            released.add(id_)
        rows.append(MessageRow(
            generation=generation, workspace_id=WORKSPACE, message_id=id_, identity_id=1_000_000,
            channel_id=m.channel_id, channel="sms", kind=m.kind, event_time=m.at,
            drop_reason=dropped.reason if dropped else None, mac_rule=dropped.rule if dropped else None,
            block_start=verdict.block_start, counted=verdict.counted, content_digest=0,
            body=None if facts.erased else "{}",
        ))  # fmt: skip
    await messages.add(tx, rows)
    await tx.execute("UPDATE messages SET released = true WHERE message_id = ANY ($1)", list(released))
    return judged


def _opens(facts: Facts, verdict: MessageVerdict, closed_at: datetime | None) -> bool:
    return not isinstance(verdict, Dropped) and opens(facts.kind, facts.event_time, closed_at)


def _is_valid(workspace_id: str) -> bool:
    try:
        msgspec.convert(workspace_id, WorkspaceId)
    except msgspec.ValidationError:
        return False
    return True
