"""merge_contacts: two contacts become one, and the old id leads to it."""

from typing import Any
from uuid import UUID

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, details, give, results, rows, said
from tests.workers.ingesting import ingest, values
from tests.workers.records import at, message
from tests.workers.runs import RUNS, controls, start, step
from tests.workers.runs import apply as workflow
from tests.workers.sending import request, send
from workers.contacts.changes_topic import CONTACTS
from workers.records import Record
from workers.store import contacts

ANA = "+4915112345678"
BEN = "+4915187654321"
CAT = "+4915111111111"
TEXTS = """
    SELECT string_agg(content ->> 'text', ' ' ORDER BY event_time) FROM sluice.conversation_messages
    GROUP BY contact_id ORDER BY min(event_time)
"""
ACTIVE = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"


async def meet(pool: Pool, *addresses: str) -> list[str]:
    """A contact for each address, by a message each, a minute apart."""
    ids = []
    for number, address in enumerate(addresses):
        [accepted] = values(
            await ingest(pool, message(address, minutes=number, text=f"m{number}")), "messages.accepted"
        )
        ids.append(accepted["contact_id"])
    return ids


def merge(survivor: str, loser: str, minutes: float = 10, **fields: Any) -> Record[Any]:
    return ask("merge_contacts", minutes=minutes, survivor_id=survivor, loser_id=loser, **fields)


def update(contact_id: str, minutes: float = 5, /, **values: Any) -> Record[Any]:
    return ask("update_contact", minutes=minutes, contact_id=contact_id, set=values)


async def overview(pool: Pool, *columns: str) -> list[tuple[Any, ...]]:
    return await rows(pool, f"SELECT {', '.join(columns)} FROM sluice.contact_overview ORDER BY contact_id")  # noqa: S608


async def texts(pool: Pool) -> list[str]:
    return [text for (text,) in await rows(pool, TEXTS)]


async def test_two_contacts_become_one(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    command = merge(ana, ben)
    [result] = await results(pool, command)

    assert result == {"merge_id": str(command.value.command_id), "runs_halted": 0}
    assert await overview(pool, "contact_id::text") == [(ana,)]
    assert await texts(pool) == ["m0 m1"]
    channels = "SELECT contact_id::text, address FROM sluice.contact_channels ORDER BY address"
    assert await rows(pool, channels) == [(ana, ANA), (ana, BEN)]
    assert await rows(pool, ACTIVE) == [(1,)]
    history = (
        "SELECT merge_id, survivor_id::text, loser_id::text, actor, merged_at, undone_at FROM sluice.merge_history"
    )
    assert await rows(pool, history) == [(command.value.command_id, ana, ben, "olga", at(10), None)]
    assert await rows(pool, "SELECT contact_id::text FROM sluice.mac_contacts") == [(ana,)]


async def test_later_messages_of_both_go_to_the_survivor(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, merge(ana, ben))
    outputs = await ingest(pool, message(BEN, minutes=20, text="two"), message(ANA, minutes=21, text="three"))

    assert {v["contact_id"] for v in values(outputs, "messages.accepted")} == {ana}
    assert await texts(pool) == ["m0 m1 two three"]
    assert await rows(pool, ACTIVE) == [(1,)]


async def test_the_survivor_keeps_its_values_and_gaps_are_filled(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("define_field", scope="contact", name="size", type="text"))
    await give(pool, update(ana, first_name="Ana", country="DE"), update(ben, first_name="Ben", last_name="Ray"))
    await give(pool, ask("assign_conversation", contact_id=ben, assignee="u-7"), update(ben, **{"custom.size": "L"}))
    await give(pool, merge(ana, ben))

    shown = await overview(pool, "first_name", "last_name", "phone", "assignee", "custom")
    assert shown == [("Ana", "Ray", ANA, "u-7", '{"size": "L"}')]


async def test_somebody_may_choose_field_by_field(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("define_field", scope="contact", name="size", type="text"))
    await give(
        pool, update(ana, first_name="Ana", **{"custom.size": "S"}), update(ben, first_name="Ben", last_name="Ray")
    )
    choices = {"first_name": "loser", "last_name": "survivor", "phone": "loser", "custom.size": "loser"}
    await give(pool, merge(ana, ben, choices=choices))

    assert await overview(pool, "first_name", "last_name", "phone", "custom") == [("Ben", None, BEN, "{}")]
    await give(pool, update(ana, 9, first_name="Older"), update(ana, 11, last_name="Later"))
    assert await overview(pool, "first_name", "last_name") == [("Ben", "Later")]


async def test_tags_are_united(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, *(ask("add_tag", contact_id=who, tag=tag) for who, tag in ((ana, "a"), (ana, "x"), (ben, "b"))))
    await give(pool, ask("remove_tag", minutes=1, contact_id=ana, tag="x"), ask("add_tag", contact_id=ben, tag="x"))
    await give(pool, merge(ana, ben))

    assert await overview(pool, "tags") == [(["a", "b", "x"],)]


@pytest.mark.parametrize(("first", "second", "then"), [("p1", "p2", "p1"), (None, "p2", "p2"), ("p1", None, "p1")])
async def test_the_profile_is_the_survivors_else_the_losers(
    pool: Pool, first: str | None, second: str | None, then: str
) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    for who, profile in ((ana, first), (ben, second)):
        if profile is not None:
            await give(pool, ask("create_profile", profile_id=profile, name=profile))
            await give(pool, ask("attach_contact", contact_id=who, profile_id=profile))
    await give(pool, merge(ana, ben))

    assert await overview(pool, "profile_id") == [(then,)]
    sizes = "SELECT profile_id, contacts FROM sluice.search_profiles('acme', '', 9) WHERE contacts > 0"
    assert await rows(pool, sizes) == [(then, 1)]


@pytest.mark.parametrize(
    ("mine", "theirs", "then"),
    [
        ("open", "closed", "open"),
        ("closed", "open", "open"),
        ("closed", "closed", "closed"),
        ("snoozed", "open", "open"),
        ("closed", "snoozed", "snoozed"),
        ("snoozed", "closed", "snoozed"),
        ("open", "snoozed", "open"),
    ],
)
async def test_the_conversation_is_open_if_either_was(pool: Pool, mine: str, theirs: str, then: str) -> None:
    both = await meet(pool, ANA, BEN)
    for who, status in zip(both, (mine, theirs), strict=True):
        if status == "closed":
            await give(pool, ask("close_conversation", minutes=5, contact_id=who))
        if status == "snoozed":
            await give(pool, ask("snooze_conversation", minutes=5, contact_id=who, until="2099-01-01T00:00:00Z"))
    await give(pool, merge(both[0], both[1]))
    assert await overview(pool, "conversation_status") == [(then,)]

    await give(pool, ask("close_conversation", minutes=11, contact_id=both[1]))
    assert await overview(pool, "conversation_status") == [("closed",)]
    await ingest(pool, message(BEN, minutes=12))
    assert await overview(pool, "conversation_status") == [("open",)]


async def test_the_losers_runs_halt_and_the_survivors_go_on(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await workflow(pool, start("r1", 2, contact_id=ana), start("r2", 2, contact_id=ben))
    outputs = await give(pool, merge(ana, ben))

    assert said(outputs)[0]["runs_halted"] == 1
    assert await rows(pool, RUNS) == [
        ("r1", "automatic", "running", None),
        ("r2", "automatic", "halted", "contact_merged"),
    ]
    assert await rows(pool, "SELECT DISTINCT contact_id::text FROM sluice.workflow_runs") == [(ana,)]
    assert controls(await workflow(pool, step("r2", 12))) == [("r2", "run_halted", "contact_merged")]


async def test_the_old_id_leads_to_the_survivor(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("comment", minutes=5, contact_id=ben, text="before"))
    await give(pool, merge(ana, ben))
    await give(
        pool, ask("add_tag", contact_id=ben, tag="vip"), ask("comment", minutes=11, contact_id=ben, text="after")
    )
    await send(pool, request("s1", to=UUID(ben), minutes=12))
    await workflow(pool, start("r1", 13, contact_id=ben))

    assert await overview(pool, "contact_id::text", "tags") == [(ana, ["vip"])]
    assert await rows(pool, "SELECT contact_id::text, status FROM sluice.sends") == [(ana, "dispatched")]
    assert await rows(pool, "SELECT contact_id::text, state FROM sluice.workflow_runs") == [(ana, "running")]
    page = (
        "SELECT contact_id::text, kind FROM sluice.conversation_page('acme', $1, NULL, NULL, 9) WHERE kind <> 'message'"
    )
    kinds = [(ana, "send"), (ana, "comment"), (ana, "comment")]
    assert sorted(await rows(pool, page, ben)) == sorted(kinds)
    view = "SELECT contact_id::text, kind FROM sluice.conversation_messages WHERE contact_id = $1 AND kind <> 'message'"
    assert sorted(await rows(pool, view, ana)) == sorted(kinds)
    assert await rows(pool, "SELECT allowed FROM sluice.may_send('acme', $1::uuid, 'whatsapp')", ben) == [(True,)]
    found = "SELECT contact_id::text FROM sluice.search_contacts('acme', $1, 9)"
    assert await rows(pool, found, ben) == [(ana,)]
    explained = "SELECT count(*) FROM sluice.mac_counts CROSS JOIN LATERAL sluice.explain_mac('acme', cycle_start, $1)"
    assert await rows(pool, explained, ben) == await rows(pool, explained, ana)


async def test_a_chain_of_merges_leads_to_its_end(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    await give(pool, merge(ben, cat))
    await give(pool, merge(ana, ben, 11))

    await give(pool, ask("add_tag", contact_id=cat, tag="vip"))
    assert await overview(pool, "contact_id::text", "tags") == [(ana, ["vip"])]
    assert await texts(pool) == ["m0 m1 m2"]
    assert await rows(pool, ACTIVE) == [(1,)]
    assert await results(pool, merge(cat, ana, 12), merge(cat, ben, 13)) == ["same_contact", "same_contact"]


async def test_an_old_id_may_be_merged_as_what_it_is_now(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    await give(pool, merge(ana, ben))
    await give(pool, merge(cat, ben, 11))

    assert await overview(pool, "contact_id::text") == [(cat,)]
    assert await texts(pool) == ["m0 m1 m2"]


async def test_merges_and_commands_of_one_poll_come_one_after_the_other(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    asked = [
        ask("add_tag", contact_id=ben, tag="b"),
        merge(ana, ben),
        ask("add_tag", contact_id=ben, tag="after"),
        merge(ana, cat, 11),
        merge(ana, cat, 12),
    ]
    assert (await results(pool, *asked))[4] == "same_contact"
    assert await overview(pool, "contact_id::text", "tags") == [(ana, ["after", "b"])]


@pytest.mark.parametrize("blocked", [0, 1])
async def test_a_blocked_contact_is_not_merged(pool: Pool, blocked: int) -> None:
    both = await meet(pool, ANA, BEN)
    await give(pool, ask("block_contact", minutes=5, contact_id=both[blocked]))
    assert await results(pool, merge(both[0], both[1])) == ["contact_blocked"]
    assert len(await overview(pool, "contact_id")) == 2

    await give(pool, ask("unblock_contact", minutes=6, contact_id=both[blocked]))
    assert "merge_id" in (await results(pool, merge(both[0], both[1])))[0]


async def test_what_cannot_be_merged_is_refused(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    nobody = "00000000-0000-0000-0000-000000000001"
    outputs = await give(
        pool,
        merge(ana, ana),
        merge(ana, nobody),
        merge(nobody, ben),
        merge(ana, ben, choices={"shoe": "loser"}),
        merge(ana, ben, role="agent"),
    )
    assert said(outputs) == ["same_contact", "not_found", "not_found", "invalid", "not_permitted"]
    assert [detail.split(":")[0] for detail in details(outputs) if detail] == [
        *("`survivor_id` and `loser_id`", "`loser_id`", "`survivor_id`", "`choices`", "`actor.role`")
    ]
    assert len(await overview(pool, "contact_id")) == 2


async def test_a_repeated_merge_changes_nothing(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    command = merge(ana, ben)
    first = await give(pool, command)
    again = await give(pool, command, now=at(60))
    assert [o.event.value for o in again] == [o.event.value for o in first]


# --- blocks


async def test_a_block_by_the_old_id_is_of_the_survivor_and_all_its_addresses(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, merge(ana, ben))
    await give(pool, ask("block_contact", minutes=20, contact_id=ben))
    await ingest(pool, message(ANA, minutes=21, text="x"), message(BEN, minutes=22, text="x"))

    assert await rows(pool, "SELECT contact_id::text FROM sluice.blocked_contacts") == [(ana,)]
    assert await rows(pool, "SELECT contact_id::text, event_time FROM sluice.drop_ledger ORDER BY 2") == [
        (ana, at(21)),
        (ana, at(22)),
    ]
    await give(pool, ask("unblock_contact", minutes=30, contact_id=ana))
    await ingest(pool, message(BEN, minutes=31, text="two"), message(ANA, minutes=32, text="three"))
    assert await texts(pool) == ["m0 m1 two three"]


async def test_a_block_of_before_the_merge_covers_all_that_came_since(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await ingest(pool, message(BEN, minutes=8, text="x"), message(ANA, minutes=9, text="x"))
    await give(pool, merge(ana, ben))
    outputs = await give(pool, ask("block_contact", minutes=5, contact_id=ana))

    assert said(outputs)[0]["messages_revised"] == 2
    assert {v["contact_id"] for v in values(outputs, "messages.revised")} == {ana}
    assert await texts(pool) == ["m0 m1"]


async def test_old_blocks_stay_with_the_addresses_that_they_covered(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("block_contact", minutes=3, contact_id=ben), ask("unblock_contact", minutes=6, contact_id=ben))
    await give(pool, merge(ana, ben))
    await ingest(
        pool, message(BEN, minutes=4, text="x"), message(ANA, minutes=4, text="a"), message(BEN, minutes=7, text="b")
    )

    assert await texts(pool) == ["m0 m1 a b"]
    outputs = await give(pool, ask("unblock_contact", minutes=3.5, contact_id=ana))
    [revised] = values(outputs, "messages.revised")
    assert (revised["contact_id"], revised["reason"]) == (ana, "late_unblock")
    assert sorted((await texts(pool))[0].split()) == ["a", "b", "m0", "m1", "x"]


@pytest.mark.parametrize(("of_loser", "blocked"), [(True, True), (False, False)])
async def test_a_late_block_is_of_all_addresses_whatever_ended_older_ones_of_one_side(
    pool: Pool, *, of_loser: bool, blocked: bool
) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    old = ben if of_loser else ana
    await give(pool, ask("block_contact", minutes=2, contact_id=old), ask("unblock_contact", minutes=6, contact_id=old))
    await give(pool, merge(ana, ben, 10))
    await give(pool, ask("block_contact", minutes=4, contact_id=ana, timestamp=at(11)))
    await ingest(pool, *(message(who, minutes=m, text="x") for who in (ANA, BEN) for m in (5, 7, 12)))

    assert await rows(pool, "SELECT contact_id::text FROM sluice.blocked_contacts") == ([(ana,)] if blocked else [])
    dropped = "SELECT event_time, count(*) FROM sluice.drop_ledger GROUP BY 1 ORDER BY 1"
    assert await rows(pool, dropped) == [(at(m), 2) for m in ((5, 7, 12) if blocked else (5,))]
    await give(pool, ask("unblock_contact", minutes=13, contact_id=ana))
    await ingest(pool, *(message(who, minutes=14, text="free") for who in (ANA, BEN)))
    assert (await texts(pool))[0].count("free") == 2


async def test_dropped_messages_of_the_loser_are_released_by_the_survivor(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("block_contact", minutes=3, contact_id=ben))
    await ingest(pool, message(BEN, minutes=4, text="x"))
    await give(pool, ask("unblock_contact", minutes=6, contact_id=ben))
    await give(pool, merge(ana, ben))
    span: dict[str, Any] = {"from": at(0), "to": at(9)}
    release = ask("release_dropped", minutes=20, contact_id=ana, **span)
    assert await results(pool, release) == [{"messages_revised": 1}]
    assert await texts(pool) == ["m0 m1 x"]


# --- sends


async def test_holds_follow_the_survivor(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("define_status", name="vip", protected=True), ask("create_profile", profile_id="p", name="p"))
    await give(pool, ask("set_profile_status", profile_id="p", status="vip"))
    await give(pool, ask("attach_contact", contact_id=ben, profile_id="p"))
    await send(pool, request("s1", to=UUID(ben), minutes=5))
    await give(pool, merge(ana, ben))

    held = "SELECT contact_id::text, profile_id, releasable FROM sluice.held_sends"
    assert await rows(pool, held) == [(ana, "p", False)]
    await give(pool, ask("block_contact", minutes=20, contact_id=ana))
    assert await rows(pool, "SELECT contact_id::text, status FROM sluice.sends") == [(ana, "cancelled")]


# --- what comes out


async def test_the_loser_goes_from_contacts_changes_and_the_survivor_has_both(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await published(pool)
    await give(pool, merge(ana, ben))
    out = await published(pool)

    assert out[ben] is None
    assert sorted(i["address"] for i in out[ana]["identities"]) == [ANA, BEN]
    async with pool.acquire() as tx:
        assert set(await contacts.revisions(tx, [("acme", UUID(ana)), ("acme", UUID(ben))])) == {("acme", UUID(ana))}


async def published(pool: Pool) -> dict[str, Any]:
    """What contacts.changes has to say now."""
    async with pool.acquire() as tx, tx.transaction():
        current = await CONTACTS.load(tx, 100)
        await CONTACTS.clear(tx, current)
    return {
        (c.event.key or b"").decode().partition(":")[2]: None
        if c.event.value is None
        else msgspec.json.decode(c.event.value)
        for c in current
    }
