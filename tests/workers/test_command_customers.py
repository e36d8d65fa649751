"""Profiles, statuses, companies and attachments as commands, read through the views."""

import asyncio
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.records import at, batch, message
from workers.app import commands_worker
from workers.errors import RetryBatch
from workers.messages import worker as inbound

ANA, BOB = "+4915112345678", "+4915187654321"
OVERVIEW = "SELECT profile_id, status, companies, protected, reasons FROM sluice.profile_overview ORDER BY profile_id"


async def meet(pool: Pool, *addresses: str) -> None:
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(tx, batch(*(message(address) for address in addresses)))
    await rows(pool, "DELETE FROM unpublished_contacts RETURNING 1")


def membership(address: str) -> dict[str, Any]:
    return {"identity": by_phone(address)}


async def test_a_profile_is_protected_by_its_status_and_by_its_companies(pool: Pool) -> None:
    await give(
        pool,
        ask("define_status", name="vip", protected=True),
        ask("define_company", company_id="c-1", name="Lovelace Ltd"),
        ask("define_company", company_id="c-2", name="Babbage & Co"),
        *(ask("create_profile", profile_id=f"p-{n}", name="Ada") for n in range(4)),
        ask("protect_company", company_id="c-2"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("set_profile_companies", profile_id="p-2", company_ids=["c-2", "c-1"]),
        ask("set_profile_status", profile_id="p-3", status="vip"),
        ask("set_profile_companies", profile_id="p-3", company_ids=["c-2"]),
    )
    both = ["status_protected", "company_protected"]
    assert await rows(pool, OVERVIEW) == [
        ("p-0", None, [], False, []),
        ("p-1", "vip", [], True, ["status_protected"]),
        ("p-2", None, ["c-1", "c-2"], True, ["company_protected"]),
        ("p-3", "vip", ["c-2"], True, both),
    ]

    await give(
        pool,
        ask("define_status", name="vip", protected=False, minutes=1),
        ask("unprotect_company", company_id="c-2", minutes=1),
        ask("set_profile_companies", profile_id="p-2", company_ids=["c-1"], minutes=1),
    )
    assert await rows(pool, OVERVIEW) == [
        ("p-0", None, [], False, []),
        ("p-1", "vip", [], False, []),
        ("p-2", None, ["c-1"], False, []),
        ("p-3", "vip", ["c-2"], False, []),
    ]
    assert await rows(pool, "SELECT name, protected FROM sluice.profile_statuses") == [("vip", False)]
    companies = "SELECT company_id, name, protected FROM sluice.companies ORDER BY company_id"
    assert await rows(pool, companies) == [("c-1", "Lovelace Ltd", False), ("c-2", "Babbage & Co", False)]


async def test_a_profile_shows_who_made_it_and_its_fields(pool: Pool) -> None:
    await give(
        pool,
        ask("define_field", scope="profile", name="tier", type="number"),
        ask("create_profile", minutes=4, actor="ann", role="agent", name="Ada", fields={"custom.tier": 2}),
    )
    query = "SELECT name, fields, notes, created_by, created_at FROM sluice.profile_overview"
    [(name, fields, notes, created_by, created_at)] = await rows(pool, query)
    assert (name, created_by, created_at) == ("Ada", "ann", at(4))
    assert (msgspec.json.decode(fields), msgspec.json.decode(notes)) == ({"tier": 2}, [])


async def test_what_was_stored_is_decided_on_as_what_is_new(pool: Pool) -> None:
    asked = [
        ask("define_status", name="vip", protected=True, minutes=1),
        ask("create_profile", profile_id="p-1", name="Ada", minutes=1),
        ask("set_profile_status", profile_id="p-1", status="vip", minutes=5),
        ask("set_profile_status", profile_id="p-1", status=None, minutes=4),
        ask("define_status", name="vip", protected=True, minutes=9),
        ask("define_company", company_id="c-1", name="One", minutes=5),
        ask("define_company", company_id="c-1", name="Two", minutes=4),
        ask("protect_company", company_id="c-1", minutes=5),
        ask("unprotect_company", company_id="c-1", minutes=4),
        ask("set_profile_companies", profile_id="p-1", company_ids=["c-1"], minutes=5),
        ask("set_profile_companies", profile_id="p-1", company_ids=[], minutes=4),
    ]
    one_by_one = [answer for command in asked for answer in await results(pool, command)]
    at_once = await results(pool, *(ask_again(command.value, "other") for command in asked))

    assert one_by_one == at_once
    assert one_by_one[3:5] == [{}, {}]
    since = "SELECT workspace_id, protected_since FROM profile_statuses ORDER BY 1"
    assert await rows(pool, since) == [("acme", at(1)), ("other", at(1))]
    state = "SELECT status, companies, reasons FROM sluice.profile_overview"
    assert len(set(map(str, await rows(pool, state)))) == 1


def ask_again(command: Any, workspace_id: str) -> Any:
    fields = {k: v for k, v in msgspec.to_builtins(command).items() if k not in ("actor", "issued_at", "command_id")}
    minutes = (command.issued_at - at(0)).total_seconds() / 60
    return ask(fields.pop("command"), minutes=minutes, **(fields | {"workspace_id": workspace_id}))


async def test_attaching_by_name_makes_the_profile_once(pool: Pool) -> None:
    await meet(pool, ANA, BOB)
    first, second = await results(
        pool,
        ask("attach_contact", profile_name="Lovelace", **membership(ANA)),
        ask("attach_contact", profile_name=" LOVELACE ", **membership(BOB)),
    )
    assert first == {"profile_id": first["profile_id"], "profile_created": True}
    assert second == {"profile_id": first["profile_id"], "profile_created": False}
    assert await rows(pool, "SELECT DISTINCT profile_id FROM sluice.contact_overview") == [(first["profile_id"],)]


async def test_two_partitions_that_attach_to_one_new_name_make_one_profile(pool: Pool) -> None:
    await meet(pool, ANA, BOB)
    async with pool.acquire() as one, pool.acquire() as two:
        ahead, behind = one.transaction(), two.transaction()
        await ahead.start()
        await behind.start()
        await commands_worker.apply(one, batch(ask("attach_contact", profile_name="Ada", **membership(ANA))))
        late = batch(ask("attach_contact", profile_name="ada", partition=1, **membership(BOB)))
        waiting = asyncio.create_task(commands_worker.apply(two, late))
        while not await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
        await ahead.commit()
        await waiting
        await behind.commit()

    assert await rows(pool, "SELECT count(*) FROM sluice.profile_overview") == [(1,)]
    assert await rows(pool, "SELECT count(DISTINCT profile_id), count(profile_id) FROM sluice.contact_overview") == [
        (1, 2)
    ]


async def test_two_partitions_that_make_one_status_decide_again(pool: Pool) -> None:
    await meet(pool, ANA)
    async with pool.acquire() as one, pool.acquire() as two:
        ahead, behind = one.transaction(), two.transaction()
        await ahead.start()
        await behind.start()
        await commands_worker.apply(one, batch(ask("define_status", name="vip", protected=True, minutes=1)))
        late = ask("define_status", name="vip", protected=True, minutes=2, partition=1)
        waiting = asyncio.create_task(commands_worker.apply(two, batch(late)))
        while not await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
        await ahead.commit()
        with pytest.raises(RetryBatch):
            await waiting
        await behind.rollback()
    assert await results(pool, late) == [{}]


async def test_a_name_that_several_profiles_have_is_refused(pool: Pool) -> None:
    await meet(pool, ANA)
    await give(pool, *(ask("create_profile", name="Ada") for _ in range(2)))
    assert await results(pool, ask("attach_contact", profile_name="ada", **membership(ANA))) == ["invalid"]


async def test_a_contact_moves_and_is_detached(pool: Pool) -> None:
    await meet(pool, ANA)
    await give(pool, *(ask("create_profile", profile_id=p, name=p) for p in ("p-1", "p-2")))
    answers = await results(
        pool,
        ask("attach_contact", minutes=1, profile_id="p-1", **membership(ANA)),
        ask("attach_contact", minutes=2, profile_id="p-2", contact_id=await contact_of(pool, ANA)),
        ask("detach_contact", minutes=3, **membership(ANA)),
        ask("attach_contact", minutes=2.5, profile_id="p-1", **membership(ANA)),
    )
    assert answers == [
        {"profile_id": "p-1", "profile_created": False},
        {"profile_id": "p-2", "profile_created": False},
        {"profile_id": None},
        {},
    ]
    assert await rows(pool, "SELECT profile_id FROM sluice.contact_overview") == [(None,)]


async def test_only_another_profile_makes_a_contact_due(pool: Pool) -> None:
    await meet(pool, ANA)
    dirty = """DELETE FROM unpublished_contacts d USING contacts c WHERE c.contact_id = d.contact_id
        RETURNING c.revision = d.revision"""
    await give(pool, ask("create_profile", profile_id="p-1", name="Ada"))

    await give(pool, ask("attach_contact", minutes=1, profile_id="p-1", **membership(ANA)))
    assert await rows(pool, dirty) == [(True,)]

    await give(pool, ask("attach_contact", minutes=2, profile_id="p-1", **membership(ANA)))
    assert await rows(pool, dirty) == []
    assert await rows(pool, "SELECT profile_at FROM contacts") == [(at(2),)]


async def test_what_is_not_there_is_not_found(pool: Pool) -> None:
    await give(pool, ask("create_profile", profile_id="p-1", name="Ada"))
    answers = await results(
        pool,
        ask("attach_contact", profile_id="p-1", **membership(ANA)),
        ask("detach_contact", **membership(ANA)),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("set_profile_companies", profile_id="p-1", company_ids=["c-1"]),
        ask("set_profile_status", profile_id="p-2", status=None),
        ask("protect_company", company_id="c-1"),
        ask("unprotect_company", company_id="c-1"),
    )
    assert answers == ["not_found"] * 7
    assert await results(pool, ask("create_profile", profile_id="p-1", name="Eve")) == ["invalid"]


async def test_the_same_number_or_address_on_two_contacts_is_suggested_for_merging(pool: Pool) -> None:
    mail = "Ada@Example.org"
    async with pool.acquire() as tx, tx.transaction():
        await inbound.apply(
            tx,
            batch(
                message(ANA),
                message(ANA, channel="sms"),
                message(BOB),
                message("4711", channel="sms"),
                message("4711", channel="whatsapp"),
                message(mail, channel="email"),
                message("ada", channel="telegram"),
            ),
        )
    await rows(pool, "UPDATE contacts SET email = 'ada@example.org' WHERE phone = $1 RETURNING 1", BOB)
    suggested = "SELECT field, value, cardinality(contact_ids) FROM sluice.merge_suggestions ORDER BY field"

    assert await rows(pool, suggested) == [("email", "ada@example.org", 2), ("phone", ANA, 2)]

    await give(pool, ask("block_contact", identity=by_phone(ANA, "sms")), ask("block_contact", identity=by_phone(BOB)))
    assert await rows(pool, suggested) == []
