"""What outlives a deletion as keyed hashes: whose late messages are, blocks, and opt-outs."""

from typing import Any, Final
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.support.databases import HASH_KEY
from tests.workers.asking import ask, by_phone, contact_of, give, results, rows
from tests.workers.erasing import erase, traces
from tests.workers.ingesting import ingest, values
from tests.workers.records import at, message, uuid_of
from tests.workers.sending import receipt, request, send
from workers.contacts import deleting, erasing
from workers.errors import SettingsError
from workers.rules.address_hashes import HashKeys
from workers.store import address_hashes
from workers.store.contacts import IdentityKey

ANA: Final = "+4915112345678"
BOB: Final = "bob"
QUIET: Final = {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 0}
LEDGER: Final = "SELECT contact_id, reason, rule, counted FROM sluice.drop_ledger ORDER BY event_time"
BLOCKED: Final = "SELECT contact_id, blocked_at, blocked_by FROM sluice.blocked_contacts"
OPTED: Final = "SELECT opted_out FROM sluice.contact_channels"
COUNTS: Final = "SELECT active_contacts FROM sluice.mac_counts ORDER BY cycle_start"
SENDS: Final = "SELECT status, reason FROM sluice.sends ORDER BY updated_at"
SHOWN: Final = "SELECT content ->> 'text' FROM sluice.conversation_messages ORDER BY event_time"
KEY, OTHER = bytes.fromhex(HASH_KEY), bytes(range(32))


@pytest.fixture(params=[deleting.AT_ONCE, 0], ids=["at once", "by a rule"], autouse=True)
def by_rule(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Contacts are cut off by the command, or deleted by a rule and cut off in steps."""
    monkeypatch.setattr(deleting, "AT_ONCE", request.param)
    return bool(request.param == 0)


async def deleted(pool: Pool, minutes: float = 60, address: str = ANA) -> UUID:
    """The contact of the address, which is deleted."""
    owners = "SELECT contact_id FROM identities WHERE address = $1 AND ended_at IS NULL"
    [(contact,)] = await rows(pool, owners, address)
    assert isinstance(contact, UUID)
    [result] = await results(pool, ask("delete_contacts", minutes=minutes, contact_ids=[contact], expected_count=1))
    assert result["contacts"] == 1
    return contact


async def block(pool: Pool, minutes: float, **fields: Any) -> Any:
    [result] = await results(pool, ask("block_contact", minutes=minutes, identity=by_phone(ANA), **fields))
    return result


async def unblock(pool: Pool, minutes: float, **target: Any) -> Any:
    [result] = await results(pool, ask("unblock_contact", minutes=minutes, **(target or {"identity": by_phone(ANA)})))
    return result


async def with_number_on_file(pool: Pool) -> UUID:
    """A contact with Ana's number in a field, while Ana has the address."""
    await ingest(pool, message(ANA, minutes=1), message(BOB, minutes=1, channel="telegram"))
    [(bob,)] = await rows(pool, "SELECT contact_id FROM sluice.contact_overview WHERE phone IS NULL")
    await give(pool, ask("update_contact", contact_id=bob, set={"phone": ANA}))
    assert isinstance(bob, UUID)
    return bob


async def test_a_late_message_is_dropped_for_the_deleted_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1, text="in time", name="Ana"))
    ana = await deleted(pool)
    outputs = await ingest(pool, message(ANA, minutes=59, text="late words", name="Ana"))

    [fact] = values(outputs, "messages.dropped")
    assert (fact["contact_id"], fact["reason"]) == (str(ana), "contact_deleted")
    assert await rows(pool, LEDGER) == [(ana, "contact_deleted", None, True)]
    assert await rows(pool, "SELECT 1 FROM sluice.contact_overview") == []
    assert await traces(pool, "late words") == []
    assert await rows(pool, COUNTS) == [(1,)]
    await erase(pool)
    assert await rows(pool, LEDGER) == [(ana, "contact_deleted", None, True)]
    assert await traces(pool, ANA, ANA[1:], "Ana") == []


async def test_a_late_message_counts_as_if_it_had_come_in_time(pool: Pool) -> None:
    await give(pool, ask("create_contact", identity=by_phone(ANA)))
    ana = await deleted(pool)
    await ingest(pool, message(ANA, minutes=5), message(ANA, minutes=3))
    assert await rows(pool, COUNTS) == [(1,)]
    proof = "SELECT contact_id, first_counted_at FROM sluice.mac_contacts"
    assert await rows(pool, proof) == [(ana, at(3))]
    told = "SELECT explanation FROM sluice.explain_mac('acme', (SELECT cycle_start FROM sluice.mac_counts), $1)"
    assert next(text for (text,) in await rows(pool, told, ana)).startswith(
        "dropped, as the contact was deleted later: counts"
    )


async def test_messages_before_and_after_the_deletion_come_in_one_poll(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    ana = await deleted(pool)
    await ingest(pool, *(message(ANA, minutes=n, text=f"at {n}") for n in (61, 59, 60, 58)))

    again = await contact_of(pool, ANA)
    assert again != ana
    assert await rows(pool, SHOWN) == [("at 60",), ("at 61",)]
    assert [owner for owner, *_ in await rows(pool, LEDGER)] == [ana, ana]
    # Also when the address has an owner already.
    await ingest(pool, message(ANA, minutes=57, text="at 57"))
    assert [owner for owner, *_ in await rows(pool, LEDGER)] == [ana] * 3
    assert await rows(pool, "SELECT connected_at FROM sluice.contact_channels") == [(at(60),)]


async def test_each_of_several_deletions_has_the_messages_of_its_time(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    first = await deleted(pool, 60)
    await ingest(pool, message(ANA, minutes=70))
    second = await deleted(pool, 90)
    await ingest(pool, *(message(ANA, minutes=n, text="late") for n in (59, 60, 89, 90)))
    assert [owner for owner, *_ in await rows(pool, LEDGER)] == [first, second, second]
    assert await rows(pool, SHOWN) == [("late",)]


async def test_who_was_blocked_stays_blocked(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50, actor="bob")
    await deleted(pool)
    assert await rows(pool, BLOCKED) == []
    await erase(pool)
    await ingest(pool, message(ANA, minutes=61, text="again"))

    again = await contact_of(pool, ANA)
    assert await rows(pool, BLOCKED) == [(again, at(50), "bob")]
    assert await rows(pool, "SELECT conversation_status FROM sluice.contact_overview") == [("blocked",)]
    assert await rows(pool, LEDGER) == [(again, "contact_blocked", "next_cycle", True)]
    # It is an ordinary block from now on.
    assert await unblock(pool, 70) == QUIET
    await ingest(pool, message(ANA, minutes=71, text="free"), message(ANA, minutes=69, text="not yet"))
    assert await rows(pool, SHOWN) == [("free",)]


async def test_a_block_is_lifted_before_the_address_writes_again(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50)
    ana = await deleted(pool)
    assert await unblock(pool, 70) == QUIET
    assert await unblock(pool, 71) == {}
    assert await unblock(pool, 72, contact_id=ana) == {}
    await ingest(pool, message(ANA, minutes=69, text="not yet"), message(ANA, minutes=71, text="free"))
    assert await rows(pool, BLOCKED) == []
    assert await rows(pool, SHOWN) == [("free",)]


@pytest.mark.parametrize("was_blocked", [False, True])
@pytest.mark.parametrize("makes", ["block_contact", "create_contact"])
async def test_an_unblock_before_who_makes_a_contact_of_the_address(
    pool: Pool, makes: str, *, was_blocked: bool
) -> None:
    await ingest(pool, message(ANA, minutes=1))
    if was_blocked:
        await block(pool, 50)
    await deleted(pool)
    known = by_phone(ANA)
    [lifted, made] = await results(
        pool, ask("unblock_contact", minutes=70, identity=known), ask(makes, minutes=71, identity=known)
    )
    assert lifted == (QUIET if was_blocked else "not_found")
    assert made.items() >= (QUIET if makes == "block_contact" else {"created": True}).items()
    await ingest(pool, message(ANA, minutes=69, text="not yet"), message(ANA, minutes=70.5, text="free"))
    assert set(await rows(pool, SHOWN)) == ({("free",)} if was_blocked else {("free",), ("not yet",)})


async def test_a_late_unblock_of_before_the_deletion_is_of_who_has_the_address_now(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50)
    await deleted(pool)
    await ingest(pool, message(ANA, minutes=61, text="again"))
    assert await rows(pool, SHOWN) == []
    revised = {"runs_halted": 0, "holds_cancelled": 0, "messages_revised": 1}
    assert await unblock(pool, 55) == revised
    assert (await rows(pool, BLOCKED), await rows(pool, SHOWN)) == ([], [("again",)])


async def test_a_late_unblock_changes_nothing_for_a_new_owner_who_is_not_blocked(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await deleted(pool)
    await ingest(pool, message(ANA, minutes=61, text="again"))
    assert await unblock(pool, 55) == {}
    assert await rows(pool, SHOWN) == [("again",)]


async def test_a_block_is_lifted_by_the_id_of_the_deleted_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50)
    ana = await deleted(pool)
    assert await unblock(pool, 70, contact_id=ana) == QUIET
    await ingest(pool, message(ANA, minutes=71, text="free"))
    assert await rows(pool, SHOWN) == [("free",)]


async def test_without_a_block_there_is_nothing_to_lift(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    ana = await deleted(pool)
    assert await unblock(pool, 70) == "not_found"
    assert await unblock(pool, 70, contact_id=ana) == "contact_deleted"


async def test_a_new_block_of_the_address_makes_a_contact_with_the_old_one(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50, actor="bob")
    await deleted(pool)
    assert await block(pool, 70, actor="eve") == {}
    assert [row[1:] for row in await rows(pool, BLOCKED)] == [(at(50), "bob")]


async def test_an_opt_out_stays_until_start(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1, text="STOP"))
    await deleted(pool)
    await erase(pool)
    await ingest(pool, message(ANA, minutes=61, text="again"))
    assert await rows(pool, OPTED) == [(True,)]
    await ingest(pool, message(ANA, minutes=62, text="start"))
    assert await rows(pool, OPTED) == [(False,)]


async def test_start_may_be_the_first_word(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1, text="STOP"))
    await deleted(pool)
    await ingest(pool, message(ANA, minutes=61, text="START"))
    assert await rows(pool, OPTED) == [(False,)]


@pytest.mark.parametrize("known", [False, True])
async def test_a_late_stop_counts(pool: Pool, *, known: bool) -> None:
    """Whether or not somebody has the address when it comes."""
    await ingest(pool, message(ANA, minutes=1))
    await deleted(pool)
    writes = message(ANA, minutes=61, text="again")
    stops = message(ANA, minutes=59, text="STOP")
    for record in (writes, stops) if known else (stops, writes):
        await ingest(pool, record)
    assert await rows(pool, OPTED) == [(True,)]


async def test_hashes_by_the_old_key_are_found_and_renewed(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await block(pool, 50)
    ana = await deleted(pool)
    address_hashes.use(HashKeys(OTHER, KEY))
    await ingest(pool, message(ANA, minutes=59, text="late"))
    address_hashes.use(HashKeys(OTHER))
    await ingest(pool, message(ANA, minutes=58, text="late"), message(ANA, minutes=61, text="again"))
    assert [owner for owner, *_ in await rows(pool, LEDGER)][:2] == [ana, ana]
    assert len(await rows(pool, BLOCKED)) == 1


async def test_a_send_of_before_a_key_was_replaced_obeys_the_renewed_hash(pool: Pool) -> None:
    bob = await with_number_on_file(pool)
    await send(pool, request("s1", to=bob, minutes=2))
    await block(pool, 50)
    await deleted(pool)
    await erase(pool)
    claim = "SELECT granted, reason FROM sluice.claim_send('acme', $1, 1)"
    assert await rows(pool, claim, uuid_of("s1")) == [(False, "contact_blocked")]
    address_hashes.use(HashKeys(OTHER, KEY))
    await ingest(pool, message(ANA, minutes=59, text="late"))
    assert await rows(pool, "SELECT former_hash IS NULL FROM address_hashes") == [(False,)]
    assert await rows(pool, claim, uuid_of("s1")) == [(False, "contact_blocked")]

    await pool.execute("UPDATE address_hashes SET forget_at = now()")
    async with pool.acquire() as tx, tx.transaction():
        await erasing.forget(tx, await tx.fetchval("SELECT now()"))
    assert await rows(pool, "SELECT former_hash IS NULL, blocked FROM address_hashes") == [(True, True)]


@pytest.mark.parametrize("keys", [HashKeys(), HashKeys(OTHER)])
async def test_a_process_without_the_key_does_not_apply_a_message_of_an_unknown_address(
    pool: Pool, keys: HashKeys
) -> None:
    await ingest(pool, message(ANA, minutes=1))
    await deleted(pool)
    await erase(pool, 1)
    address_hashes.use(keys)
    with pytest.raises(SettingsError, match="SLUICE_HASH_KEY"):
        await ingest(pool, message(ANA, minutes=61))


async def test_nobody_is_deleted_without_a_key(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    ana = await contact_of(pool, ANA)
    address_hashes.use(HashKeys())
    assert await results(pool, ask("delete_contacts", contact_ids=[ana], expected_count=1)) == ["not_supported"]
    assert await contact_of(pool, ANA) == ana


async def test_hashes_are_forgotten_after_two_weeks_but_not_those_of_blocked_and_opted_out_ones(pool: Pool) -> None:
    addresses = [f"+491511234567{n}" for n in range(3)]
    stops, blocked, other = addresses
    await ingest(pool, *(message(a, minutes=1, text="STOP" if a == stops else "hello") for a in addresses))
    await give(pool, ask("block_contact", minutes=50, identity=by_phone(blocked)))
    for address in addresses:
        await deleted(pool, address=address)
    await erase(pool)
    await pool.execute("UPDATE address_hashes SET forget_at = now()")
    async with pool.acquire() as tx, tx.transaction():
        await erasing.forget(tx, at(0))
    assert len(await rows(pool, "SELECT 1 FROM address_hashes")) == 3
    now = await pool.fetchval("SELECT now()")
    async with pool.acquire() as tx, tx.transaction():
        await erasing.forget(tx, now)
    assert len(await rows(pool, "SELECT 1 FROM address_hashes")) == 2
    await ingest(pool, *(message(a, minutes=61) for a in addresses))
    assert len(await rows(pool, BLOCKED)) == 1
    assert sorted(await rows(pool, OPTED)) == [(False,), (False,), (True,)]
    assert other in {phone for (phone,) in await rows(pool, "SELECT phone FROM sluice.contact_list")}


async def test_a_send_to_a_number_on_file_obeys_the_hash(pool: Pool) -> None:
    """A contact with the number in a field; nobody has the address."""
    bob = await with_number_on_file(pool)
    await send(pool, request("before", to=bob, minutes=2))
    await block(pool, 50)
    await deleted(pool)
    await erase(pool, 1)
    await send(pool, request("blocked", to=bob, minutes=61))
    claim = "SELECT granted, reason FROM sluice.claim_send('acme', $1, 1)"
    assert await rows(pool, claim, uuid_of("before")) == [(False, "contact_blocked")]
    assert await rows(pool, SENDS) == [("dispatched", None), ("refused", "contact_blocked")]

    may = "SELECT allowed, reasons FROM sluice.may_send('acme', $1::uuid, 'whatsapp', $2)"
    hashes = address_hashes.hashes_of(IdentityKey("acme", "whatsapp", "", ANA))
    assert await rows(pool, may, bob, hashes) == [(False, ["contact_blocked"])]
    assert await rows(pool, may.replace("uuid", "text"), ANA, hashes) == [(False, ["contact_blocked"])]
    assert await rows(pool, may, bob, None) == [(True, [])]

    await unblock(pool, 70)
    assert await rows(pool, claim, uuid_of("before")) == [(True, None)]
    await send(pool, request("free", to=bob, minutes=71))
    assert (await rows(pool, SENDS))[-1] == ("dispatched", None)
    assert await rows(pool, may, bob, hashes) == [(True, [])]


async def test_a_send_obeys_an_opt_out_that_outlives_the_contact(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1, text="STOP"), message(BOB, minutes=1, channel="telegram"))
    [(bob,)] = await rows(pool, "SELECT contact_id FROM sluice.contact_overview WHERE phone IS NULL")
    await give(pool, ask("update_contact", contact_id=bob, set={"phone": ANA}))
    await deleted(pool)
    await send(pool, request("typed", minutes=61), request("on file", to=bob, minutes=62))
    assert await rows(pool, SENDS) == [("refused", "opted_out")] * 2


async def test_a_send_to_a_deleted_contact_is_refused(pool: Pool) -> None:
    await ingest(pool, message(ANA, minutes=1))
    ana = await deleted(pool)
    await send(pool, request("late", to=ana, minutes=61))
    assert await rows(pool, SENDS) == [("refused", "contact_deleted")]
    assert await rows(pool, "SELECT reason FROM sluice.may_send('acme', $1::uuid, 'whatsapp')", ana) == [
        ("contact_deleted",)
    ]


async def test_what_a_provider_said_of_a_failure_goes(pool: Pool) -> None:
    failed = receipt("failed", error={"code": "131026", "message": "nobody of the name Xaver"})
    await ingest(pool, message(ANA))
    await send(pool, request("s1"), failed)
    assert await traces(pool, "Xaver") == ["send_attempts.error_message: Xaver"]
    await deleted(pool)
    await erase(pool)
    assert await traces(pool, "Xaver") == []
    await send(pool, failed)
    assert await traces(pool, "Xaver") == []
