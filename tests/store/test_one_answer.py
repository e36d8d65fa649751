"""Whether a send may go is asked in Python, when it is requested, and in SQL, by claims, `may_send` and views: over
generated states all give one answer.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from schemas.sends import SendRequest
from tests.store.worlds import (
    CHANNELS,
    EMAILS,
    GENERATED,
    NOW,
    PHONES,
    REGION,
    World,
    add,
    addresses,
    load,
    marks,
    moments,
    worlds,
)
from tests.support.databases import InATransaction
from tests.workers.records import WORKSPACE, uuid_of
from workers.rules.channels import aim_at_address, obstacle, state
from workers.rules.identities import identify
from workers.rules.protection import Cover, codes, keys, uncovered, with_confirmed
from workers.rules.sends import Case, Dispatch, Hold, Refuse, judge, refusals
from workers.sends import context
from workers.sends.requests import subjects_of
from workers.store import address_hashes, holds, sends, workspaces
from workers.store.connection import Connection
from workers.store.contacts import IdentityKey
from workers.store.sends import Send, SendKey, as_bytea

GROUNDS: Final = ["status_protected:VIP", "company_protected:VIP", "company_protected:plain", "protection_unknown"]


@dataclass(frozen=True)
class Wish:
    """Somebody wants to write: to a person of the world, or to an address."""

    channel: str
    to: int | str
    run: str | None
    requested_at: datetime
    confirmed_keys: frozenset[str]
    confirmed_before: datetime | None


@st.composite
def scenes(draw: st.DrawFn) -> tuple[World, list[Wish]]:
    world = draw(worlds())
    known = [*(a.identity for a in world.addresses), *(left.identity for left in world.left)]
    wishes = []
    for channel in draw(st.lists(st.sampled_from(CHANNELS), min_size=4, max_size=12)):
        own = [text for i in known if i.channel == channel for text in (i.address, i.lookup)]
        typed: st.SearchStrategy[int | str] = addresses(channel)
        if own:
            typed |= st.sampled_from(own)
        wishes.append(
            Wish(
                channel,
                draw(st.one_of(st.integers(0, len(world.people) - 1), typed)),
                draw(st.none() | st.sampled_from(["r1", "unheard of"])),
                draw(moments),
                draw(st.frozensets(st.sampled_from(GROUNDS), max_size=3)),
                draw(st.none() | marks),
            )
        )
    return world, wishes


@GENERATED
@given(scenes())
def test_claims_say_what_requests_say(in_a_transaction: InATransaction, scene: tuple[World, list[Wish]]) -> None:
    world, wishes = scene

    async def compare(tx: Connection) -> None:
        await load(tx, world)
        judged = await judge_in_python(tx, world, wishes)
        for key, (send, case) in judged.items():
            match judge(case, send.cover):
                case Refuse(reason):
                    expected: tuple[bool, str | None] = (False, reason)
                case Hold(reasons, _):
                    expected = False, reasons[0]
                case Dispatch():
                    expected = True, None
            assert tuple(await tx.fetchrow("SELECT * FROM claim_send($1, $2, 1)", *key)) == expected, send

    in_a_transaction(compare)


@GENERATED
@given(scenes())
def test_holds_show_what_nobody_answered_for(in_a_transaction: InATransaction, scene: tuple[World, list[Wish]]) -> None:
    world, wishes = scene

    async def compare(tx: Connection) -> None:
        await load(tx, world)
        judged = await judge_in_python(tx, world, wishes)
        covers = {key: send.cover for key, (send, _) in judged.items()}
        await tx.execute("UPDATE sends SET status = 'held'")
        await compare_holds(tx, judged, covers)
        for before in (NOW - timedelta(hours=hours) for hours in range(1, 4)):
            await tx.execute("UPDATE sends SET confirmed_keys = '{}', confirmed_before = $1", before)
            await compare_holds(tx, judged, dict.fromkeys(judged, Cover(before=before)))

    in_a_transaction(compare)


async def compare_holds(
    tx: Connection, judged: Mapping[SendKey, tuple[Send, Case]], covers: Mapping[SendKey, Cover]
) -> None:
    releasable = dict(await tx.fetch("SELECT send_id, releasable FROM held_sends"))
    shown = await tx.fetch("SELECT send_id, array_agg(DISTINCT key) FROM open_grounds GROUP BY send_id")
    in_sql = {send_id: set(found) for send_id, found in shown}
    for key, (send, case) in judged.items():
        left = set(keys(uncovered((g for p in case.people for g in p.grounds), covers[key])))
        assert (releasable[key[1]], in_sql.get(key[1], set())) == (not left, left), send


@GENERATED
@given(scenes(), st.frozensets(st.sampled_from(GROUNDS), max_size=3))
def test_what_a_confirmation_comes_to_is_foreseen(
    in_a_transaction: InATransaction, scene: tuple[World, list[Wish]], shown: frozenset[str]
) -> None:
    world, wishes = scene

    async def compare(tx: Connection) -> None:
        await load(tx, world)
        judged = await judge_in_python(tx, world, wishes)
        times = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
        await tx.execute(
            "UPDATE sends SET status = 'held', reason_keys = $1, group_id = send_id, held_at = $2, expires_at = $3",
            sorted(shown), *times,
        )  # fmt: skip
        whole: Counter[str] = Counter()
        for key, (send, case) in judged.items():
            match judge(case, with_confirmed(send.cover, shown)):
                case Refuse():
                    expected = "refused"
                case Hold():
                    expected = "held"
                case Dispatch():
                    expected = "released"
            assert await holds.confirmation_outcomes(tx, (WORKSPACE, str(key[1])), NOW, None) == {expected: 1}, send
            assert await holds.confirmation_outcomes(tx, (WORKSPACE, str(key[1])), NOW, send.requested_by) == {
                "held": 1
            }
            told = await tx.fetchrow("SELECT new_grounds, refusals FROM sluice.hold_details($1, $2)", *key)
            new = {":".join(filter(None, (g["code"], g["of"]))) for g in msgspec.json.decode(told["new_grounds"])}
            cover = with_confirmed(send.cover, shown)
            assert new == set(keys(uncovered((g for p in case.people for g in p.grounds), cover))), send
            assert told["refusals"] == list(refusals(case)), send
            whole[expected] += 1
        await tx.execute("UPDATE sends SET group_id = 'all'")
        assert await holds.confirmation_outcomes(tx, (WORKSPACE, "all"), NOW, None) == whole

    in_a_transaction(compare)


@GENERATED
@given(scenes(), st.booleans())
def test_may_send_says_what_requests_say(
    in_a_transaction: InATransaction,
    scene: tuple[World, list[Wish]],
    by_kind: bool,  # noqa: FBT001
) -> None:
    world, wishes = scene

    async def compare(tx: Connection) -> None:
        await load(tx, world)
        now = await tx.fetchval("SELECT now()")
        asked = [msgspec.structs.replace(r, requested_at=now, run_id=None) for r in requests(world, wishes)]
        keys_of = await written_to(tx, asked)
        answers = [await may_send(tx, request, keys_of[_key(request)], by_kind=by_kind) for request in asked]
        for request, answer in zip(asked, answers, strict=True):
            [case] = (await judge_requests(tx, [request])).values()
            told = [*refusals(case), *codes(uncovered((g for p in case.people for g in p.grounds), Cover()))]
            assert answer == (not told, told[0] if told else None, told), request

    in_a_transaction(compare)


@GENERATED
@given(worlds())
def test_channels_show_what_can_be_written_to(in_a_transaction: InATransaction, world: World) -> None:
    async def compare(tx: Connection) -> None:
        await load(tx, world)
        shown = await tx.fetch(
            "SELECT contact_id, channel, address, state FROM contact_channels WHERE address IS NOT NULL"
        )
        seen = {tuple(row) for row in shown}
        for a in world.addresses:
            expected = state(a.identity.channel, a.connected_at, understood=a.identity.understood)
            assert (world.people[a.owner].contact_id, a.identity.channel, a.identity.address, expected) in seen

    in_a_transaction(compare)


@GENERATED
@given(st.lists(st.sampled_from(CHANNELS).flatmap(lambda c: st.tuples(st.just(c), addresses(c))), max_size=60))
def test_sql_understands_what_is_looked_up(in_a_transaction: InATransaction, typed: list[tuple[str, str]]) -> None:
    known = [("whatsapp", p) for p in PHONES] + [("sms", p) for p in PHONES] + [("email", e) for e in EMAILS]

    async def compare(tx: Connection) -> None:
        found = [identify(c, "main", text, region) for c, text in typed + known for region in (None, REGION)]
        rows = await tx.fetch(
            "SELECT u, channel_obstacle(channel, lookup, u, NULL), channel_obstacle(channel, lookup, u, now())"
            " FROM unnest($1::text[], $2::text[]) AS t (channel, lookup) CROSS JOIN understood(channel, lookup) AS u",
            [i.channel for i in found],
            [i.lookup for i in found],
        )
        for i, row in zip(found, rows, strict=True):
            aim = aim_at_address(i)
            said = i.understood, obstacle(i.channel, aim, None), obstacle(i.channel, aim, NOW)
            assert tuple(row) == said, i

    in_a_transaction(compare)


async def judge_in_python(tx: Connection, world: World, wishes: Sequence[Wish]) -> dict[SendKey, tuple[Send, Case]]:
    """Each wish as a send that was dispatched already, whatever was against it, and what speaks against it now."""
    asked = requests(world, wishes)
    subjects = await subjects_of(tx, {_key(r): r for r in asked}, await _tenants(tx))
    rows = []
    for wish, request in zip(wishes, asked, strict=True):
        subject = subjects[_key(request)]
        if subject.identity_key is None:
            continue
        rows.append({
            "workspace_id": WORKSPACE, "send_id": request.send_id, "contact_id": subject.contact_id,
            "channel": wish.channel, "channel_id": request.channel_id, **msgspec.to_builtins(subject.aim),
            "content": {}, "source": "inbox", "run_id": wish.run, "requested_by": "ann", "requested_role": "agent",
            "requested_at": wish.requested_at, "status": "dispatched", "reasons": [], "reason_keys": [],
            "address_hashes": [as_bytea(h) for h in address_hashes.hashes_of(subject.identity_key)],
            "confirmed_keys": sorted(wish.confirmed_keys), "confirmed_before": wish.confirmed_before, "attempt": 1,
            "best_attempt": 1, "revision": 1, "applied_at": NOW, "updated_at": NOW,
        })  # fmt: skip
    await add(tx, "sends", rows)
    await add(tx, "send_attempts", [
        {"workspace_id": WORKSPACE, "send_id": row["send_id"], "attempt": 1, "channel_id": row["channel_id"],
         "status": "dispatched", "dispatched_at": NOW, "permanent": False}
        for row in rows
    ])  # fmt: skip
    stored = await sends.read(tx, [(WORKSPACE, row["send_id"]) for row in rows])
    judged = await context.load(tx, {key: context.subject_of(send) for key, send in stored.items()})
    return {key: (stored[key], case) for key, case in judged.items()}


async def judge_requests(tx: Connection, asked: Sequence[SendRequest]) -> dict[SendKey, Case]:
    subjects = await subjects_of(tx, {_key(r): r for r in asked}, await _tenants(tx))
    return await context.load(tx, subjects)


async def written_to(tx: Connection, asked: Sequence[SendRequest]) -> dict[SendKey, IdentityKey | None]:
    """The address that each request would go to."""
    looking = tx.transaction()
    await looking.start()
    subjects = await subjects_of(tx, {_key(r): r for r in asked}, await _tenants(tx))
    await looking.rollback()
    return {key: subject.identity_key for key, subject in subjects.items()}


async def may_send(
    tx: Connection, request: SendRequest, to: IdentityKey | None, *, by_kind: bool
) -> tuple[bool, str | None, list[str]]:
    hashes = address_hashes.hashes_of(to) if to is not None else None
    channel = request.channel if by_kind and request.channel != "messenger" else request.channel_id
    if request.to.contact_id is not None:
        row = await tx.fetchrow(
            "SELECT * FROM may_send($1, $2::uuid, $3, $4)", WORKSPACE, request.to.contact_id, channel, hashes
        )
    else:
        kept = identify(request.channel, request.channel_id, request.to.address or "", REGION).lookup
        row = await tx.fetchrow("SELECT * FROM may_send($1, $2::text, $3, $4)", WORKSPACE, kept, channel, hashes)
    return row["allowed"], row["reason"], row["reasons"]


def requests(world: World, wishes: Sequence[Wish]) -> list[SendRequest]:
    return [
        msgspec.convert(
            {
                "send_id": uuid_of(f"s{number}"),
                "workspace_id": WORKSPACE,
                "channel_id": f"{wish.channel}-main",
                "channel": wish.channel,
                "to": {"address": wish.to}
                if isinstance(wish.to, str)
                else {"contact_id": world.people[wish.to].contact_id},
                "content": {"type": "text", "text": "hello"},
                "requested_at": wish.requested_at,
                "requested_by": {"id": "ann", "role": "agent"},
                "source": "inbox",
                "run_id": wish.run,
            },
            SendRequest,
        )
        for number, wish in enumerate(wishes)
    ]


async def _tenants(tx: Connection) -> dict[str, workspaces.Workspace]:
    return await workspaces.share(tx, {(WORKSPACE, "", "")})


def _key(request: SendRequest) -> SendKey:
    return request.workspace_id, request.send_id
