"""undo_merge: what came with the loser goes back with it, and what was written since stays."""

from typing import Any
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, results, rows
from tests.workers.ingesting import ingest, values
from tests.workers.records import at, message
from tests.workers.sending import request, send
from tests.workers.test_merging import ANA, BEN, CAT, meet, merge, published, texts, update
from workers.records import Record

SHOWN = "SELECT {} FROM sluice.contact_overview WHERE contact_id = $1"
ACTIVE = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"


def undo(of: Record[Any], minutes: float = 60, **fields: Any) -> Record[Any]:
    return ask("undo_merge", minutes=minutes, merge_id=str(of.value.command_id), **fields)


async def shown(pool: Pool, contact_id: str, *columns: str) -> tuple[Any, ...]:
    [row] = await rows(pool, SHOWN.format(", ".join(columns)), UUID(contact_id))
    return row


async def test_later_messages_go_back_by_their_address(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    merged = merge(ana, ben)
    await give(pool, merged)
    await ingest(pool, message(BEN, minutes=20, text="b"), message(ANA, minutes=21, text="a"))
    assert await results(pool, undo(merged)) == [{"merge_id": str(merged.value.command_id)}]

    assert await texts(pool) == ["m0 a", "m1 b"]
    owners = "SELECT contact_id::text, address FROM sluice.contact_channels ORDER BY address"
    assert await rows(pool, owners) == [(ana, ANA), (ben, BEN)]
    assert await rows(pool, ACTIVE) == [(2,)]
    assert await rows(pool, "SELECT undone_at FROM sluice.merge_history") == [(at(60),)]
    outputs = await ingest(pool, message(BEN, minutes=70))
    assert [v["contact_id"] for v in values(outputs, "messages.accepted")] == [ben]


async def test_it_counts_again_who_was_active_in_which_month(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    merged = merge(ana, ben)
    await give(pool, merged)
    await ingest(pool, message(BEN, minutes=60 * 24 * 40, text="next month"))
    assert await rows(pool, ACTIVE) == [(1,), (1,)]
    await give(pool, undo(merged))

    assert await rows(pool, ACTIVE) == [(2,), (1,)]
    proofs = "SELECT contact_id::text, first_counted_at FROM sluice.mac_contacts ORDER BY first_counted_at"
    assert await rows(pool, proofs) == [(ana, at(0)), (ben, at(1)), (ben, at(60 * 24 * 40))]
    await ingest(pool, message(BEN, minutes=5, text="again"))
    assert await rows(pool, ACTIVE) == [(2,), (1,)]


async def test_values_go_back_that_nobody_wrote_since(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("define_field", scope="contact", name="size", type="text"))
    await give(pool, update(ana, first_name="Ana"), update(ben, first_name="Ben", last_name="Ray", country="FR"))
    await give(pool, update(ben, **{"custom.size": "L"}), ask("assign_conversation", contact_id=ben, assignee="u-7"))
    merged = merge(ana, ben, choices={"first_name": "loser"})
    await give(pool, merged, update(ben, 20, last_name="Since"))
    await give(pool, undo(merged))

    columns = ("first_name", "last_name", "country", "custom", "assignee", "phone")
    assert await shown(pool, ana, *columns) == ("Ana", "Since", "DE", "{}", None, ANA)
    assert await shown(pool, ben, *columns) == ("Ben", "Ray", "FR", '{"size": "L"}', "u-7", BEN)


async def test_names_that_messages_gave_since_go_back_with_them(pool: Pool) -> None:
    await ingest(pool, message(ANA, text="m0", name="Ana"), message(BEN, minutes=1, text="m1", name="Ben"))
    [(ana,), (ben,)] = await rows(pool, "SELECT contact_id::text FROM contact_overview ORDER BY display_name")
    merged = merge(ana, ben)
    await give(pool, merged)
    await ingest(pool, message(BEN, minutes=20, name="Benno"))
    assert await shown(pool, ana, "display_name") == ("Benno",)
    await give(pool, undo(merged))

    assert await shown(pool, ana, "display_name", "first_name") == ("Ana", "Ana")
    assert await shown(pool, ben, "display_name", "first_name") == ("Benno", "Benno")


async def test_tags_go_back_unless_they_were_given_again(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    for who, tag in ((ana, "a"), (ana, "x"), (ben, "b"), (ben, "again"), (ben, "x")):
        await give(pool, ask("add_tag", contact_id=who, tag=tag))
    await give(pool, ask("remove_tag", minutes=1, contact_id=ana, tag="x"))
    merged = merge(ana, ben)
    await give(pool, merged)
    await give(pool, ask("add_tag", minutes=20, contact_id=ana, tag="again"))
    await give(pool, ask("add_tag", minutes=20, contact_id=ben, tag="new"))
    await give(pool, undo(merged))

    assert await shown(pool, ana, "tags") == (["a", "again", "new"],)
    assert await shown(pool, ben, "tags") == (["again", "b", "x"],)
    await give(pool, ask("add_tag", minutes=0.5, contact_id=ana, tag="x"))
    assert await shown(pool, ana, "tags") == (["a", "again", "new"],)


@pytest.mark.parametrize(("first", "second"), [("p1", "p2"), (None, "p2")])
async def test_profiles_go_back(pool: Pool, first: str | None, second: str) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    for who, profile in ((ana, first), (ben, second)):
        if profile is not None:
            await give(pool, ask("create_profile", profile_id=profile, name=profile))
            await give(pool, ask("attach_contact", contact_id=who, profile_id=profile))
    merged = merge(ana, ben)
    await give(pool, merged)
    await give(pool, undo(merged))

    assert (await shown(pool, ana, "profile_id"), await shown(pool, ben, "profile_id")) == ((first,), (second,))
    sizes = "SELECT profile_id, contacts FROM sluice.search_profiles('acme', '', 9) ORDER BY 1"
    assert await rows(pool, sizes) == [(profile, 1) for profile in (first, second) if profile is not None]


async def test_a_profile_that_was_deleted_since_does_not_come_back(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    for who, profile in ((ana, "p1"), (ben, "p2")):
        await give(pool, ask("create_profile", profile_id=profile, name=profile))
        await give(pool, ask("attach_contact", contact_id=who, profile_id=profile))
    merged = merge(ana, ben)
    await give(pool, merged)
    await give(pool, ask("delete_profile", minutes=20, profile_id="p2"))
    await give(pool, undo(merged))
    assert (await shown(pool, ana, "profile_id"), await shown(pool, ben, "profile_id")) == (("p1",), (None,))


async def test_conversations_are_as_their_own_messages_and_commands_made_them(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    closing = [ask("close_conversation", minutes=5, contact_id=who) for who in (ana, ben, cat)]
    await give(pool, *closing[:2])
    merged = merge(ana, ben)
    await give(pool, merged)
    await ingest(pool, message(BEN, minutes=20))
    await give(pool, undo(merged))
    statuses = await shown(pool, ana, "conversation_status") + await shown(pool, ben, "conversation_status")
    assert statuses == ("closed", "open")

    other = merge(ana, cat, 70)
    await give(pool, other)
    assert await shown(pool, ana, "conversation_status") == ("open",)
    await give(pool, undo(other, 80))
    statuses = await shown(pool, ana, "conversation_status") + await shown(pool, cat, "conversation_status")
    assert statuses == ("closed", "open")


async def test_a_block_since_the_merge_stays_with_both(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    merged = merge(ana, ben)
    await give(pool, merged)
    await give(pool, ask("block_contact", minutes=20, contact_id=ben))
    await give(pool, undo(merged))

    assert await rows(pool, "SELECT contact_id::text FROM sluice.blocked_contacts ORDER BY 1") == [
        *sorted([(ana,), (ben,)])
    ]
    await give(pool, ask("unblock_contact", minutes=70, contact_id=ana))
    await ingest(pool, message(ANA, minutes=71, text="a"), message(BEN, minutes=71, text="b"))
    assert await texts(pool) == ["m0 a", "m1"]


async def test_addresses_added_since_stay_with_the_survivor(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    merged = merge(ana, ben)
    await give(pool, merged)
    await give(pool, ask("create_contact", identity=by_phone(CAT), minutes=20))
    [(cat,)] = await rows(pool, "SELECT contact_id::text FROM contact_overview WHERE phone = $1", CAT)
    await give(pool, ask("remove_channel", identity=by_phone(BEN), minutes=21))
    await ingest(pool, message(BEN, minutes=22, text="new"))
    await give(pool, undo(merged))

    assert await texts(pool) == ["m0", "m1", "new"]
    assert (await shown(pool, cat, "phone")) == (CAT,)


async def test_holds_go_back_by_their_address(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("define_status", name="vip", protected=True), ask("create_profile", profile_id="p", name="p"))
    await give(pool, ask("set_profile_status", profile_id="p", status="vip"))
    await give(pool, ask("attach_contact", contact_id=ben, profile_id="p"))
    await send(pool, request("s1", to=UUID(ben), minutes=5))
    merged = merge(ana, ben)
    await give(pool, merged)
    await send(pool, request("s2", to=ANA, minutes=20))
    await send(pool, request("s3", to=BEN, minutes=21))
    await give(pool, undo(merged))

    held = "SELECT contact_id::text, profile_id FROM sluice.held_sends ORDER BY requested_at"
    assert await rows(pool, held) == [(ben, "p"), (ana, None), (ben, "p")]


async def test_a_chain_is_undone_from_its_end(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    first, second = merge(ben, cat), merge(ana, ben, 11)
    await give(pool, first, second)
    assert await results(pool, undo(first)) == ["already_final"]

    await give(pool, undo(second))
    await give(pool, ask("add_tag", contact_id=cat, tag="vip"))
    assert await shown(pool, ben, "tags") == (["vip"],)
    await ingest(pool, message(CAT, minutes=30, text="c"))
    assert await texts(pool) == ["m0", "m1 m2 c"]
    await give(pool, undo(first, 61))
    assert await texts(pool) == ["m0", "m1", "m2 c"]
    assert await rows(pool, ACTIVE) == [(3,)]


async def test_two_may_be_merged_and_parted_again_and_again(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    for turn in range(3):
        merged = merge(ana, ben, 10 + turn)
        await give(pool, merged)
        gone = await published(pool)
        await give(pool, undo(merged))
        back = await published(pool)
        assert (gone[ben], back[ben]["revision"] > turn) == (None, True)
    assert await texts(pool) == ["m0", "m1"]


async def test_an_undo_has_its_time(pool: Pool) -> None:
    ana, ben = await meet(pool, ANA, BEN)
    await give(pool, ask("configure_workspace", set={"merge_undo_hours": 2}))
    merged = merge(ana, ben, 0)
    await give(pool, merged)
    assert await results(pool, undo(merged, 121), undo(merged, 120)) == [
        *("too_late", {"merge_id": str(merged.value.command_id)})
    ]


async def test_what_cannot_be_undone_is_refused(pool: Pool) -> None:
    ana, ben, cat = await meet(pool, ANA, BEN, CAT)
    merged = merge(ana, ben)
    unknown = ask("undo_merge", minutes=60, merge_id="00000000-0000-0000-0000-000000000001")
    assert await results(pool, unknown, undo(merged)) == ["not_found", "not_found"]
    await give(pool, merged)
    assert await results(pool, undo(merged, role="agent")) == ["not_permitted"]
    again = merge(ana, cat, 20)
    await give(pool, again)
    assert await results(pool, undo(merged)) == ["already_final"]
    await give(pool, undo(again))
    command = undo(merged)
    assert (await results(pool, command, undo(merged)))[1] == "already_final"
    assert await results(pool, command) == [{"merge_id": str(merged.value.command_id)}]
    assert await texts(pool) == ["m0", "m1", "m2"]
