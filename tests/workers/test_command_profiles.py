"""Profiles and notes as commands: done, nothing to do, refused, repeated, out of order; read through the views."""

import asyncio
from typing import Any

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.asking import ask, by_phone, give, results, rows
from tests.workers.records import at, batch
from tests.workers.test_command_customers import meet
from tests.workers.test_details import wrong
from workers.app import commands_worker
from workers.errors import RetryBatch

ANA, BOB = "+4915112345678", "+4915187654321"
MARKER = "marker-of-ada"


def create(profile_id: str = "p-1", **fields: Any) -> Any:
    return ask("create_profile", **({"profile_id": profile_id, "name": "Ada"} | fields))


def rename(minutes: float, name: str, **fields: Any) -> Any:
    return ask("update_profile", minutes=minutes, profile_id="p-1", set={"name": name} | fields)


def note(command: str, minutes: float = 1, note_id: str | None = "n-1", **fields: Any) -> Any:
    return ask(command, minutes=minutes, **({"profile_id": "p-1", "note_id": note_id} | fields))


async def overview(pool: Pool, column: str = "name") -> list[Any]:
    """That column of the profiles, decoded if it is JSON."""
    found = await rows(pool, f"SELECT {column} FROM sluice.profile_overview ORDER BY profile_id")  # noqa: S608
    return [msgspec.json.decode(value) if column in ("fields", "notes") else value for [value] in found]


async def members(pool: Pool) -> list[tuple[Any, ...]]:
    return await rows(pool, "SELECT phone, profile_id FROM sluice.contact_overview ORDER BY phone")


async def test_a_profile_is_renamed_by_the_later_write(pool: Pool) -> None:
    first, *others = await results(
        pool, create(), rename(5, "Babbage"), rename(3, "Lovelace"), rename(6, "Babbage"), rename(5.5, "Byron")
    )
    assert (first, others) == ({"profile_id": "p-1"}, [{"fields": ["name"]}, {}, {}, {}])
    assert await overview(pool) == ["Babbage"]
    # The stamp of the last write is stored, though it changed nothing.
    assert await results(pool, rename(5.7, "Late")) == [{}]
    assert await overview(pool) == ["Babbage"]


async def test_a_renamed_profile_is_attached_to_by_its_new_name(pool: Pool) -> None:
    await meet(pool, ANA, BOB)
    await give(pool, create(), rename(1, "Babbage"))
    to_new = ask("attach_contact", minutes=2, profile_name="babbage", identity=by_phone(ANA))
    to_old = ask("attach_contact", minutes=2, profile_name="Ada", identity=by_phone(BOB))
    new, old = await results(pool, to_new, to_old)
    assert new == {"profile_id": "p-1", "profile_created": False}
    assert old["profile_created"] is True


async def test_custom_fields_are_stored_as_their_definition_says(pool: Pool) -> None:
    answers = await results(
        pool,
        create(fields={"size": 3}),
        ask("define_field", scope="profile", name="size", type="number"),
        ask("define_field", scope="contact", name="tier", type="text"),
        create(fields={"size": 3.0}),
        rename(1, "Babbage", **{"custom.tier": "gold"}),
        rename(2, "Byron", **{"custom.size": "large"}),
        rename(3, "Byron", **{"custom.size": 4.0}),
    )
    assert [answers[i] for i in (0, 4, 5)] == ["invalid"] * 3
    assert answers[6] == {"fields": ["custom.size", "name"]}
    assert await overview(pool) == ["Byron"]
    assert await overview(pool, "fields::text") == ['{"size":4}']


async def test_notes_are_added_edited_and_deleted(pool: Pool) -> None:
    answers = await results(
        pool,
        create(),
        note("add_note", 1, text="Hello", actor="ann", role="agent"),
        note("add_note", 2, None, text="Second"),
        note("edit_note", 3, text="Hello again", actor="bob", role="agent"),
        note("edit_note", 2, text="Too old"),
    )
    second = answers[2]["note_id"]
    assert answers[1:] == [{"note_id": "n-1"}, {"note_id": second}, {"note_id": "n-1"}, {}]
    [notes] = await overview(pool, "notes")
    assert [n.pop("created_at")[:16] for n in notes] == ["2026-03-10T00:01", "2026-03-10T00:02"]
    assert notes[0].pop("edited_at")[:16] == "2026-03-10T00:03"
    assert notes == [
        {"note_id": "n-1", "text": "Hello again", "created_by": "ann", "edited_by": "bob"},
        {"note_id": second, "text": "Second", "created_by": "olga", "edited_by": None, "edited_at": None},
    ]

    assert await results(pool, note("delete_note", 5), note("delete_note", 6)) == [{"note_id": "n-1"}, {}]
    assert await results(
        pool, note("delete_note", 7), note("edit_note", 4, text="Back"), note("add_note", 4, text="x")
    ) == [
        {},
        "not_found",
        "invalid",
    ]
    [notes] = await overview(pool, "notes")
    assert [n["text"] for n in notes] == ["Second"]
    assert await rows(pool, "SELECT text FROM profile_notes WHERE note_id = 'n-1'") == [("",)]


async def test_what_was_stored_is_decided_on_as_what_is_new(pool: Pool) -> None:
    asked: list[tuple[str, float, dict[str, Any]]] = [
        ("create_profile", 1, {"profile_id": "p-1", "name": "Ada"}),
        ("update_profile", 5, {"profile_id": "p-1", "set": {"name": "Babbage"}}),
        ("update_profile", 4, {"profile_id": "p-1", "set": {"name": "Late"}}),
        ("add_note", 2, {"profile_id": "p-1", "note_id": "n-1", "text": "one"}),
        ("edit_note", 5, {"profile_id": "p-1", "note_id": "n-1", "text": "two"}),
        ("edit_note", 4, {"profile_id": "p-1", "note_id": "n-1", "text": "late"}),
        ("add_note", 2, {"profile_id": "p-1", "note_id": "n-1", "text": "again"}),
        ("delete_note", 6, {"profile_id": "p-1", "note_id": "n-1"}),
        ("delete_note", 7, {"profile_id": "p-1", "note_id": "n-1"}),
        ("delete_profile", 8, {"profile_id": "p-1"}),
        ("delete_profile", 9, {"profile_id": "p-1"}),
        ("update_profile", 3, {"profile_id": "p-1", "set": {"name": "Back"}}),
        ("create_profile", 3, {"profile_id": "p-1", "name": "Back"}),
        ("add_note", 9, {"profile_id": "p-1", "text": "late"}),
    ]

    def of(workspace_id: str) -> list[Any]:
        return [ask(name, minutes=minutes, workspace_id=workspace_id, **fields) for name, minutes, fields in asked]

    one_by_one = [answer for command in of("acme") for answer in await results(pool, command)]
    at_once = await results(pool, *of("other"))
    assert one_by_one == at_once
    gone = {"profile_id": "p-1", "contacts_detached": 0}
    assert one_by_one[7:] == [{"note_id": "n-1"}, {}, gone, {}, "not_found", "invalid", "not_found"]
    assert await overview(pool) == []


async def test_deleting_detaches_the_contacts_and_keeps_them(pool: Pool) -> None:
    await meet(pool, ANA, BOB)
    await give(pool, create(), create("p-2"))
    attach = [ask("attach_contact", minutes=1, profile_id="p-1", identity=by_phone(a)) for a in (ANA, BOB)]
    await give(pool, *attach)
    await rows(pool, "DELETE FROM unpublished_contacts RETURNING 1")

    assert await results(pool, ask("delete_profile", minutes=5, profile_id="p-1")) == [
        {"profile_id": "p-1", "contacts_detached": 2}
    ]
    assert await members(pool) == [(ANA, None), (BOB, None)]
    assert await rows(pool, "SELECT profile_id FROM sluice.profile_overview") == [("p-2",)]
    due = "SELECT c.revision = u.revision FROM unpublished_contacts u JOIN contacts c USING (contact_id)"
    assert await rows(pool, due) == [(True,), (True,)]

    # One older than the attachment that the deletion ended loses to it still; a later one wins.
    older = ask("attach_contact", minutes=0.5, profile_id="p-2", identity=by_phone(ANA))
    later = ask("attach_contact", minutes=2, profile_id="p-2", identity=by_phone(BOB))
    assert await results(pool, older, later) == [{}, {"profile_id": "p-2", "profile_created": False}]
    assert await members(pool) == [(ANA, None), (BOB, "p-2")]


async def test_a_deleted_profile_leaves_nothing_that_says_who_it_was(pool: Pool) -> None:
    await give(
        pool,
        create(name=MARKER),
        ask("define_status", name="vip", protected=True),
        ask("define_company", company_id="c-1", name="Acme"),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("set_profile_companies", profile_id="p-1", company_ids=["c-1"]),
        note("add_note", text=MARKER),
        note("add_note", note_id="n-2", text=MARKER),
        rename(2, f"{MARKER} again"),
    )
    # A note in the poll of the deletion goes as well.
    await give(pool, note("add_note", 3, "n-3", text=MARKER), ask("delete_profile", minutes=4, profile_id="p-1"))

    tables = await rows(
        pool,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'sluice_core'::regnamespace",
    )
    for [table] in tables:
        assert await rows(pool, f"SELECT t FROM {table} t WHERE t::text LIKE '%{MARKER}%'") == []  # noqa: S608
    assert await rows(pool, "SELECT count(*) FROM profile_notes UNION ALL SELECT count(*) FROM profile_companies") == [
        (0,),
        (0,),
    ]
    assert await rows(pool, "SELECT name_grams, status, fields::text FROM profiles") == [([], None, "{}")]


async def test_a_contact_that_is_attached_in_the_poll_of_the_deletion_is_detached_again(pool: Pool) -> None:
    await meet(pool, ANA)
    await give(pool, create())
    attach = ask("attach_contact", minutes=1, profile_id="p-1", identity=by_phone(ANA))
    answers = await results(pool, attach, ask("delete_profile", minutes=2, profile_id="p-1"))
    assert answers[1] == {"profile_id": "p-1", "contacts_detached": 1}
    assert await members(pool) == [(ANA, None)]


async def test_a_deletion_decides_again_if_a_contact_joined_meanwhile(pool: Pool) -> None:
    await meet(pool, ANA, BOB)
    attach = [ask("attach_contact", minutes=1, profile_id="p-1", identity=by_phone(a)) for a in (ANA, BOB)]
    await give(pool, create(), attach[0])
    async with pool.acquire() as one, pool.acquire() as two:
        ahead, behind = one.transaction(), two.transaction()
        await ahead.start()
        await behind.start()
        await commands_worker.apply(one, batch(attach[1]))
        delete = ask("delete_profile", minutes=2, profile_id="p-1", partition=1)
        waiting = asyncio.create_task(commands_worker.apply(two, batch(delete)))
        while not await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
        await ahead.commit()
        with pytest.raises(RetryBatch):
            await waiting
        await behind.rollback()
    assert await results(pool, delete) == [{"profile_id": "p-1", "contacts_detached": 2}]
    assert await members(pool) == [(ANA, None), (BOB, None)]


@pytest.mark.parametrize("named", [{"profile_id": "p-1"}, {"profile_name": "Ada"}])
async def test_an_attachment_that_waits_for_a_deletion_finds_the_profile_deleted(
    pool: Pool, named: dict[str, Any]
) -> None:
    await meet(pool, ANA)
    await give(pool, create())
    async with pool.acquire() as one, pool.acquire() as two:
        ahead, behind = one.transaction(), two.transaction()
        await ahead.start()
        await behind.start()
        await commands_worker.apply(one, batch(ask("delete_profile", minutes=2, profile_id="p-1")))
        late = batch(ask("attach_contact", minutes=3, partition=1, identity=by_phone(ANA), **named))
        waiting = asyncio.create_task(commands_worker.apply(two, late))
        while not await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
        await ahead.commit()
        await waiting
        await behind.commit()
    [(_, profile_id)] = await members(pool)
    assert profile_id != "p-1"
    assert await rows(pool, "SELECT profile_id FROM sluice.profile_overview") == [(p,) for p in [profile_id] if p]


async def test_what_is_not_there_or_does_not_fit_is_refused(pool: Pool) -> None:
    await give(pool, create(), note("add_note", text="Hello"))
    asked = {
        "an unknown profile": (ask("update_profile", profile_id="p-9", set={"name": "x"}), "not_found"),
        "an unknown profile to delete": (ask("delete_profile", profile_id="p-9"), "not_found"),
        "an unknown profile for a note": (note("add_note", profile_id="p-9", text="x"), "not_found"),
        "an unknown note": (note("edit_note", note_id="n-9", text="x"), "not_found"),
        "an unknown note to delete": (note("delete_note", note_id="n-9"), "not_found"),
        "a blank name": (rename(1, " "), "invalid"),
        "a blank note": (note("add_note", note_id=None, text=" "), "invalid"),
        "a blank edit": (note("edit_note", text="\t"), "invalid"),
        "a note's id twice": (note("add_note", text="x"), "invalid"),
        "no permission": (ask("delete_profile", profile_id="p-1", role="agent"), "not_permitted"),
    }
    assert await results(pool, *(command for command, _ in asked.values())) == [reason for _, reason in asked.values()]
    refused = await rows(pool, "SELECT reason FROM sluice.audit_log WHERE outcome = 'refused' AND detail <> ''")
    assert len(refused) == len(asked)
    assert (await overview(pool), len((await overview(pool, "notes"))[0])) == (["Ada"], 1)


async def test_a_repeated_command_changes_nothing_and_gets_the_same_bytes(pool: Pool) -> None:
    commands = [
        create(),
        note("add_note", text="Hello"),
        rename(1, "Babbage"),
        ask("delete_profile", minutes=2, profile_id="p-1"),
    ]
    first, again = await give(pool, *commands), await give(pool, *commands, now=at(60))
    assert [(o.event.ce_id, o.event.value) for o in first] == [(o.event.ce_id, o.event.value) for o in again]
    assert await overview(pool) == []


async def test_the_limits_of_a_profile_hold(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("schemas.limits.NOTES_PER_PROFILE", 2)
    monkeypatch.setattr("schemas.limits.CONTACTS_PER_PROFILE", 1)
    await meet(pool, ANA, BOB)
    attach = [ask("attach_contact", minutes=1, profile_id="p-1", identity=by_phone(a)) for a in (ANA, BOB)]
    await give(pool, create(), attach[0])
    assert await results(pool, *(note("add_note", note_id=f"n-{n}", text="x") for n in range(3))) == [
        {"note_id": "n-0"},
        {"note_id": "n-1"},
        "invalid",
    ]
    assert await results(pool, note("add_note", note_id="n-2", text="x")) == ["invalid"]
    assert await results(pool, attach[1]) == ["invalid"]


async def test_a_profile_knows_how_many_contacts_it_has(pool: Pool) -> None:
    await meet(pool, ANA, BOB)

    def attach(minutes: float, address: str, **to: Any) -> Any:
        return ask("attach_contact", minutes=minutes, identity=by_phone(address), **to)

    async def sizes() -> list[int]:
        stored = await rows(pool, "SELECT contacts FROM profiles ORDER BY profile_id")
        counted = "(SELECT count(*) FROM contacts c WHERE c.profile_id = p.profile_id)"
        assert stored == await rows(pool, f"SELECT {counted} FROM profiles p ORDER BY profile_id")  # noqa: S608
        return [number for [number] in stored]

    await give(pool, create("p-1"), create("p-2"), attach(1, ANA, profile_id="p-1"), attach(1, BOB, profile_id="p-1"))
    assert await sizes() == [2, 0]
    await give(pool, attach(2, ANA, profile_id="p-2"), attach(0.5, BOB, profile_id="p-2"))
    assert await sizes() == [1, 1]
    await give(pool, attach(3, ANA, profile_name="New"), ask("detach_contact", minutes=3, identity=by_phone(BOB)))
    assert sorted(await sizes()) == [0, 0, 1]
    await give(pool, attach(4, ANA, profile_id="p-1"), ask("delete_profile", minutes=5, profile_id="p-1"))
    assert await sizes() == [0, 0, 0]


async def test_a_note_that_is_too_long_is_refused(pool: Pool) -> None:
    await give(pool, create())
    assert await results(pool, wrong("add_note", profile_id="p-1", text="x" * 10_001)) == ["invalid"]
    assert await results(pool, note("add_note", text="x" * 10_000)) == [{"note_id": "n-1"}]


async def test_a_deleted_profile_protects_nobody(pool: Pool) -> None:
    await meet(pool, ANA)
    await give(
        pool,
        create(),
        ask("define_status", name="vip", protected=True),
        ask("set_profile_status", profile_id="p-1", status="vip"),
        ask("attach_contact", minutes=1, profile_id="p-1", identity=by_phone(ANA)),
    )
    assert await rows(pool, "SELECT code FROM protections") == [("status_protected",)]
    await give(pool, ask("delete_profile", minutes=2, profile_id="p-1"))
    assert await rows(pool, "SELECT code FROM protections UNION ALL SELECT code FROM profile_protections") == []
