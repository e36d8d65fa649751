"""Concurrent transactions: merges and undos with messages, blocks, claims and each other; writes to one value."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.acceptance.test_block_races_ingest import Conflicts, Records, applied, number, one_behind_the_other
from tests.workers.asking import ask
from tests.workers.records import at, message, uuid_of
from tests.workers.sending import request
from workers.app import commands_worker as commands
from workers.messages import worker as inbound
from workers.records import Output, Record
from workers.runtime.worker_spec import Apply
from workers.sends import worker as sends

ROUNDS = 100
NEXT_MONTH = 60 * 24 * 30
Job = tuple[Apply, Records]


async def meet(pool: Pool, count: int) -> list[str]:
    """Contacts who wrote a message each, by their numbers."""
    await applied(pool, inbound.apply, [message(number(n), text="m") for n in range(count)])
    rows = await pool.fetch("SELECT contact_id::text, phone FROM contact_overview ORDER BY phone")
    return [row["contact_id"] for row in rows]


async def race(pool: Pool, first: Job, second: Job, turn: int) -> tuple[list[Output], list[Output]]:
    """Both at once: the second waits for the first, the first for the second, or as it comes."""
    match turn % 3:
        case 0:
            return await one_behind_the_other(pool, first, second)
        case 1:
            outputs, before = await one_behind_the_other(pool, second, first)
            return before, outputs
        case _:
            done, also = await asyncio.gather(applied(pool, *first), applied(pool, *second))
            return done, also


def asked(*records: Record[Any]) -> Job:
    return commands.apply, records


def answers(outputs: Sequence[Output]) -> list[Any]:
    values = [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == "commands.results"]
    return [v["reason"] or v["changed"] for v in values]


def merge(survivor: str, loser: str, minutes: float = 10) -> Record[Any]:
    return ask("merge_contacts", minutes=minutes, survivor_id=survivor, loser_id=loser)


async def test_no_message_is_lost_by_a_merge_that_comes_at_the_same_time(pool: Pool) -> None:
    ids = await meet(pool, 2 * ROUNDS)
    for n in range(ROUNDS):
        said = inbound.apply, [message(number(2 * n + one), minutes=11, text="x") for one in (0, 1)]
        await race(pool, asked(merge(ids[2 * n], ids[2 * n + 1])), said, n)

    shown = "SELECT contact_id::text, count(*) FROM conversation_messages GROUP BY 1"
    assert dict(await pool.fetch(shown)) == dict.fromkeys(ids[::2], 4)
    assert await pool.fetchval("SELECT active_contacts FROM mac_counts") == ROUNDS
    assert await pool.fetchval("SELECT count(*) FROM sluice_core.mac_contacts") == ROUNDS
    assert await pool.fetchval("SELECT count(*) FROM contact_overview WHERE conversation_status = 'open'") == ROUNDS


async def test_messages_go_back_with_an_undo_that_comes_at_the_same_time(pool: Pool) -> None:
    ids = await meet(pool, 2 * ROUNDS)
    merges = [merge(ids[2 * n], ids[2 * n + 1]) for n in range(ROUNDS)]
    await applied(pool, *asked(*merges))
    for n, merged in enumerate(merges):
        said = inbound.apply, [message(number(2 * n + one), minutes=NEXT_MONTH, text="x") for one in (0, 1)]
        await race(pool, asked(ask("undo_merge", minutes=12, merge_id=str(merged.value.command_id))), said, n)

    shown = "SELECT contact_id::text, count(*) FROM conversation_messages GROUP BY 1"
    assert dict(await pool.fetch(shown)) == dict.fromkeys(ids, 2)
    counts = await pool.fetch("SELECT active_contacts FROM mac_counts WHERE active_contacts > 0")
    assert [row[0] for row in counts] == [2 * ROUNDS, 2 * ROUNDS]


async def test_nobody_who_is_blocked_is_merged_unblocked(pool: Pool) -> None:
    ids = await meet(pool, 2 * ROUNDS)
    seen = set()
    for n in range(ROUNDS):
        survivor, loser = ids[2 * n], ids[2 * n + 1]
        block = ask("block_contact", minutes=11, contact_id=(survivor, loser)[n % 2])
        outputs, _ = await race(pool, asked(merge(survivor, loser)), asked(block), n)
        [answer] = answers(outputs)
        blocked = {row[0] for row in await pool.fetch("SELECT contact_id::text FROM blocked_contacts")}
        if answer == "contact_blocked":
            assert (blocked & {survivor, loser}) == {(survivor, loser)[n % 2]}
        else:
            assert survivor in blocked
            assert loser not in blocked
        seen.add(answer == "contact_blocked")
    assert seen == {True, False}


@pytest.mark.parametrize("circle", [2, 3])
async def test_merges_that_cross_make_one_contact(pool: Pool, circle: int) -> None:
    rounds = ROUNDS // circle
    ids = await meet(pool, circle * rounds)
    conflicts = Conflicts()
    for n in range(rounds):
        some = ids[circle * n : circle * (n + 1)]
        around = [merge(one, other) for one, other in zip(some, [*some[1:], some[0]], strict=True)]
        done = await asyncio.gather(*(applied(pool, *asked(a), conflicts) for a in around))
        reasons = [answer for outputs in done for answer in answers(outputs)]
        assert reasons.count("same_contact") == 1
        assert sum(isinstance(answer, dict) for answer in reasons) == circle - 1

    assert await pool.fetchval("SELECT count(*) FROM contact_overview") == rounds
    shown = "SELECT count(*) FROM conversation_messages GROUP BY contact_id"
    assert {row[0] for row in await pool.fetch(shown)} == {circle}
    assert await pool.fetchval("SELECT active_contacts FROM mac_counts") == rounds


async def test_a_message_belongs_to_who_had_the_address_whatever_comes_first(pool: Pool) -> None:
    await meet(pool, ROUNDS)
    for n in range(ROUNDS):
        identity = {"channel": "whatsapp", "address": number(n)}
        removal = ask("remove_channel", minutes=10, identity=identity)
        said = inbound.apply, [message(number(n), minutes=m, text="x") for m in (5, 10, 15)]
        await race(pool, asked(removal), said, n)

    shown = "SELECT count(*), min(event_time), max(event_time) FROM conversation_messages GROUP BY contact_id"
    found = sorted(tuple(row) for row in await pool.fetch(shown))
    assert found == sorted([(2, at(0), at(5)), (2, at(10), at(15))] * ROUNDS)
    assert await pool.fetchval("SELECT active_contacts FROM mac_counts") == 2 * ROUNDS


async def test_of_two_writes_at_once_the_later_one_wins(pool: Pool) -> None:
    ids = await meet(pool, ROUNDS)
    for n, id_ in enumerate(ids):
        earlier = ask("update_contact", minutes=1, contact_id=id_, set={"first_name": "A", "last_name": "A"})
        later = ask("update_contact", minutes=2, contact_id=id_, set={"first_name": "B", "language": "de"})
        await race(pool, asked(earlier), asked(later), n)

    shown = "SELECT DISTINCT first_name, last_name, language FROM contact_overview"
    assert [tuple(row) for row in await pool.fetch(shown)] == [("B", "A", "de")]


@pytest.mark.parametrize("way", ["attach", "merge"])
async def test_a_send_is_claimed_before_its_contact_is_protected_or_not_at_all(pool: Pool, way: str) -> None:
    ids = await meet(pool, 2 * ROUNDS)
    await applied(pool, *asked(ask("define_status", name="vip", protected=True)))
    await applied(pool, *asked(ask("create_profile", profile_id="p", name="p")))
    await applied(pool, *asked(ask("set_profile_status", profile_id="p", status="vip")))
    await applied(pool, sends.apply, [request(f"s{n}", to=number(n), minutes=5) for n in range(ROUNDS)])
    outcomes = set()
    for n in range(ROUNDS):
        protect = ask("attach_contact", minutes=10, contact_id=ids[n], profile_id="p")
        if way == "merge":
            survivor = ids[ROUNDS + n]
            await applied(pool, *asked(ask("attach_contact", minutes=9, contact_id=survivor, profile_id="p")))
            protect = merge(survivor, ids[n])
        claim = claims(f"s{n}")
        _, granted = await race(pool, asked(protect), (claim, ()), n)
        outcomes.add((n % 3, granted[0]))
    assert {(0, True), (1, False)} & outcomes == set()
    assert {(0, False), (1, True)} <= outcomes


def claims(name: str) -> Any:
    async def claim(tx: Any, _: Any) -> Any:
        query = "SELECT granted FROM sluice.claim_send('acme', $1, 1)"
        return [await tx.fetchval(query, uuid_of(name))]

    return claim
