"""What a record costs does not grow with what was there before: rows read and written, counted by PostgreSQL.

The histories of a contact, a workspace, a run and a group are made longer and longer; every kind of record is applied
to each of them, and rolled back.
"""

from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, Final, NamedTuple

import pytest
from asyncpg import Connection, Pool

from tests.store.histories import ANA, BLOCKED_SINCE, BOB, CYN, FIRST, PHONES, longer, made
from tests.workers.asking import ask, by_phone, give
from tests.workers.records import at, batch, message
from tests.workers.runs import finish, start, step
from tests.workers.sending import receipt, request
from tests.workers.stepping import at_most
from workers.app import commands_worker as commands
from workers.app.pending_work import FairTurns
from workers.messages import worker as inbound
from workers.records import Record
from workers.sends import worker as outbound
from workers.services.job_runner import Unfinished
from workers.store import mac, messages
from workers.workflows import worker as workflows

SIZES: Final = (10, 1_000, 100_000)
PLANS: Final = ("force_custom_plan", "force_generic_plan")
READ: Final = 100
"""Rows, and entries of indexes, that may be read more at the largest size than at the smallest."""

WRITTEN: Final = 10

LOOKING: Final = 2 * 1.1 * (messages.NAMING + messages.OPENING + mac.LOOK)
"""Looks back at so many messages and no more; each is an entry and a row, and a few more are sorted."""

COST: Final = """
SELECT coalesce(sum(s.seq_tup_read + coalesce(s.idx_tup_fetch, 0) + coalesce(i.read, 0)), 0)::bigint AS read,
    coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::bigint AS written
FROM pg_stat_xact_user_tables s
LEFT JOIN (
    SELECT indrelid, sum(pg_stat_get_xact_tuples_returned(indexrelid)) AS read FROM pg_index GROUP BY indrelid
) AS i ON i.indrelid = s.relid
"""


class Cost(NamedTuple):
    read: int
    written: int


Kind = tuple[ModuleType, Record[Any]]


def kinds() -> dict[str, Kind]:
    """A record of each kind, and the room that applies it."""
    late: dict[str, Any] = {"timestamp": at(5)}
    inbound_ones = {
        "a message": message(PHONES[ANA], minutes=5),
        "one that renames": message(PHONES[ANA], minutes=5, name="Anna"),
        "one that would have renamed long ago": message(PHONES[BOB], minutes=FIRST - 5, name="Bobby"),
        "one that came before": message(PHONES[ANA], minutes=1),
        "a late one": message(PHONES[ANA], minutes=-0.501),
        "one of somebody new": message("+4915999999999", minutes=5, name="New"),
        "one under a block": message(PHONES[CYN], minutes=5),
        "one under a block of long ago": message(PHONES[ANA], minutes=BLOCKED_SINCE - 5.5),
        "a reaction": message(PHONES[BOB], minutes=5, kind="reaction"),
    }
    outbound_ones = {
        "a send": request(to=PHONES[ANA]),
        "a send of a run": request(to=PHONES[ANA], run_id="top", step_id="s1", source="workflow"),
        "a send of a group": request(to=PHONES[ANA], group_id="spring", source="broadcast"),
        "a send that is held": request(to="+4917100000007", group_id="spring"),
        "a receipt": receipt("sent", None, provider_message_id="provider 7"),
    }
    run_ones = {
        "a start": start("new", 5, contact_id=str(ANA)),
        "a child's start": start("new", 5, contact_id=str(BOB), parent_run_id="top"),
        "a parent's step": step("top", 5),
        "a step again": step("top", 5, step_id="s7"),
        "a child's step": step("child 7", 5, "send_message"),
        "a child's finish": finish("child 7", 5),
        "a parent's finish": finish("top", 5),
    }
    asked = {
        "block": ask("block_contact", minutes=5, contact_id=ANA),
        "block again": ask("block_contact", minutes=5, contact_id=CYN),
        "unblock": ask("unblock_contact", minutes=5, contact_id=CYN),
        "late block": ask("block_contact", minutes=-59 / 60, contact_id=ANA, **late),
        "late block of the proof": ask("block_contact", minutes=FIRST - 1, contact_id=BOB, **late),
        "late block of long ago": ask("block_contact", minutes=BLOCKED_SINCE - 6.5, contact_id=ANA, **late),
        "confirm": ask("confirm_send", minutes=5, send_id=made("hold 7")),
        "confirm a group": ask("confirm_send", minutes=5, group_id="spring"),
        "reject": ask("reject_send", minutes=5, send_id=made("hold 7")),
        "a policy": ask("configure_workspace", minutes=5, set={"quarantine_days": 3}),
        "when cycles start": ask("configure_workspace", minutes=5, set={"anchor_day": 5}),
        "a channel": ask("configure_channel", minutes=5, channel_id="whatsapp-main", channel="whatsapp", name="x"),
        "protect": ask("protect_company", minutes=5, company_id="big"),
        "unprotect": ask("unprotect_company", minutes=5, company_id="big"),
        "a status": ask("define_status", minutes=5, name="vip", protected=False),
        "status of a profile": ask("set_profile_status", minutes=5, profile_id="family", status="vip"),
        "companies of a profile": ask("set_profile_companies", minutes=5, profile_id="family", company_ids=["big"]),
        "attach": ask("attach_contact", minutes=5, contact_id=ANA, profile_id="family"),
        "attach by name": ask("attach_contact", minutes=5, contact_id=ANA, profile_name="new one"),
    }
    rooms = ((inbound, inbound_ones), (outbound, outbound_ones), (workflows, run_ones), (commands, asked))
    return {name: (room, record) for room, records in rooms for name, record in records.items()}


MAY_GROW: Final[Mapping[str, str]] = {
    "confirm a group": "its result tells what becomes of each hold; nothing is done to them",
}
LOOKS_BACK: Final = frozenset({"one that would have renamed long ago", "late block of the proof"})


async def test_no_record_costs_more_in_a_long_history(pool: Pool) -> None:
    costs: dict[tuple[str, str], list[Cost]] = {}
    for shorter, size in zip((0, *SIZES), SIZES, strict=False):
        async with pool.acquire() as tx:
            await longer(tx, shorter, size)
            if shorter == 0:
                await inbound.apply(tx, batch(message(PHONES[ANA], minutes=1)))
        for name, kind in kinds().items():
            for plans in PLANS:
                costs.setdefault((name, plans), []).append(await applied(pool, kind, plans))
    grown = {
        which: told
        for which, told in costs.items()
        if (which[0] not in MAY_GROW and told[-1].read > told[0].read + (LOOKING if which[0] in LOOKS_BACK else READ))
        or told[-1].written > told[0].written + WRITTEN
    }
    assert not grown


async def applied(pool: Pool, kind: Kind, plans: str) -> Cost:
    """What a record costs, which is rolled back."""
    room, record = kind
    async with pool.acquire() as tx:
        transaction = tx.transaction()
        await transaction.start()
        try:
            await tx.execute(f"SET LOCAL plan_cache_mode = {plans}")
            before = await cost(tx)
            assert await room.apply(tx, batch(record, now=at(10))) is not None
            after = await cost(tx)
        finally:
            await transaction.rollback()
    return Cost(after.read - before.read, after.written - before.written)


async def cost(tx: Connection) -> Cost:
    """So far in this transaction."""
    return Cost(*await tx.fetchrow(COST))


ALL: Final[dict[str, Any]] = {"from": at(-5_000), "to": at(5)}

LEFT_TO_STEPS: Final[Mapping[str, Callable[[], Sequence[Record[Any]]]]] = {
    "revise messages": lambda: [ask("block_contact", minutes=-5_000, contact_id=ANA, timestamp=at(5))],
    "move messages": lambda: [ask("remove_channel", minutes=-5_000, identity=by_phone(PHONES[ANA]), timestamp=at(5))],
    "release messages": lambda: [
        ask("unblock_contact", minutes=5, contact_id=CYN),
        ask("release_dropped", minutes=6, contact_id=CYN, **ALL),
    ],
    "halt runs": lambda: [ask("block_contact", minutes=5, contact_id=BOB)],
    "confirm holds": lambda: [ask("confirm_send", minutes=5, group_id="spring")],
    "reject holds": lambda: [ask("reject_send", minutes=5, group_id="spring")],
    "count again": lambda: [ask("configure_workspace", minutes=5, set={"count_broadcasts": False})],
    "count a contact again": lambda: [ask("block_contact", minutes=FIRST - 1, contact_id=BOB, timestamp=at(5))],
}


@pytest.mark.parametrize("kind", LEFT_TO_STEPS)
async def test_a_step_reads_nothing_again_that_earlier_ones_read(
    pool: Pool, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    async with pool.acquire() as tx:
        await longer(tx, 0, 1_000)
    at_most(monkeypatch, 100)
    monkeypatch.setattr(mac, "LOOK", 100)
    for record in LEFT_TO_STEPS[kind]():
        await give(pool, record, now=at(10))
    turns, costs = FairTurns(), list[Cost]()
    while True:
        async with pool.acquire() as tx, tx.transaction():
            work = await tx.fetchval("SELECT kind FROM pending_work ORDER BY number LIMIT 1")
            before = await cost(tx)
            done = await turns.run(tx, at(10))
            after = await cost(tx)
        if not isinstance(done, Unfinished):
            break
        if work == kind and after.read - before.read > 10:  # it was not only chosen whose turn it is
            costs.append(Cost(after.read - before.read, after.written - before.written))
    assert len(costs) >= 8
    half = len(costs) // 2
    assert max(costs[half:]).read <= 1.2 * max(costs[:half]).read + 100, costs
