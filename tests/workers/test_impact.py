"""What `sluice.impact` says before a command is what the command changes."""

import json
import random
from collections import Counter
from typing import Any, Final, NamedTuple
from uuid import UUID

import pytest
from asyncpg import Pool

from tests.support.databases import Databases
from tests.workers.asking import ask, by_phone, give, results, rows
from tests.workers.ingesting import ingest
from tests.workers.records import WORKSPACE, at, message, uuid_of
from tests.workers.runs import apply as workflow
from tests.workers.runs import event, start
from tests.workers.sending import request, send
from workers.store.pool import pool_of

pytestmark = pytest.mark.usefixtures("_cycles_stay_open")

PEOPLE: Final = tuple(f"+4915112345{n:03}" for n in range(4))
EVENTS: Final = 150
MONTH: Final = 31 * 24 * 60
SEEDS: Final = range(6)
ACTIVE: Final = "SELECT coalesce(sum(active_contacts), 0)::int FROM sluice.mac_counts"
IDS: Final = "SELECT contact_id FROM sluice_core.contacts ORDER BY phone"
PRESENT: Final = """
    SELECT coalesce(merged_into, contact_id) FROM sluice_core.contacts WHERE contact_id = ANY ($1::uuid[])
"""
ENTRIES: Final = f"""
    SELECT (SELECT count(*) FROM sluice.conversation_messages WHERE contact_id IN ({PRESENT}))
        + (SELECT count(*) FROM sluice_core.releasable WHERE contact_id IN ({PRESENT}))
"""  # noqa: S608
MANY: Final = """
    INSERT INTO sluice_core.{table}
    SELECT (jsonb_populate_record(r, jsonb_build_object('{key}', md5(n::text)))).*
    FROM sluice_core.{table} r CROSS JOIN generate_series(1, $1) AS n
"""
BLOCKED: Final = ("runs_halted", "holds_cancelled", "messages_revised")
DELETED: Final = ("runs_halted", "holds_cancelled", "contacts")


class Impact(NamedTuple):
    runs: int = 0
    holds: int = 0
    messages: int = 0
    contacts: int = 0
    active_contacts: int = 0


async def impact(pool: Pool, command: Any) -> Impact | None:
    """Of a record, or of the fields of a command."""
    text = command.raw.value.decode() if hasattr(command, "raw") else json.dumps(command, default=str)
    found = await rows(pool, "SELECT * FROM sluice.impact($1, $2::text::jsonb)", WORKSPACE, text)
    return Impact(*found[0]) if found else None


class Story:
    """People of a workspace, what they write and what is done about them, at random; the clock only goes on."""

    def __init__(self, pool: Pool, seed: int) -> None:
        self.pool = pool
        self.dice = random.Random(seed)  # noqa: S311 - repeatable, and no secret
        self.now = 0.0
        self.merged = 0.0
        self.runs = 0
        self.sends = 0
        self.touched: Counter[str] = Counter()

    def past(self) -> float:
        """Mostly a while ago, sometimes now, sometimes in an earlier cycle."""
        return max(0.0, self.now - self.dice.choice((0, 0, 5, 30, 120, MONTH)))

    def who(self) -> str:
        return self.dice.choice(PEOPLE)

    def late(self, name: str, **fields: Any) -> Any:
        return ask(name, minutes=self.past(), timestamp=at(self.now), **fields)

    async def ids(self) -> list[UUID]:
        return [contact_id for (contact_id,) in await rows(self.pool, IDS)]

    async def begins(self) -> None:
        """Everybody has written once, and belongs to a protected profile."""
        await ingest(self.pool, *(message(address) for address in PEOPLE))
        effect = self.dice.choice(("next_cycle", "immediate"))
        await give(
            self.pool,
            ask("configure_workspace", set={"mac_block_effect": effect}),
            ask("define_status", name="VIP", protected=True),
            ask("create_profile", profile_id="p", name="VIPs"),
            ask("set_profile_status", profile_id="p", status="VIP"),
            *(ask("attach_contact", identity=by_phone(address), profile_id="p") for address in PEOPLE),
        )

    async def happens(self) -> None:
        d = self.dice
        self.now += d.choice((1, 1, 3, 20, 20, MONTH / 8))
        match d.choices(("write", "run", "event", "send", "unblock", "block", "undo"), (5, 4, 5, 3, 2, 1, 1))[0]:
            case "write":
                kind = d.choice(("message", "message", "message", "reaction", "echo"))
                sent = self.past() if d.random() < 0.3 else self.now
                await ingest(self.pool, message(self.who(), minutes=max(sent, self.now - 7 * 24 * 60), kind=kind))
            case "run":
                self.runs += 1
                parent = f"r{d.randrange(self.runs)}" if d.random() < 0.5 else None
                kind = d.choice(("automatic", "shortcut"))
                began = start(f"r{self.runs}", self.past(), kind, identity=by_phone(self.who()), parent_run_id=parent)
                await workflow(self.pool, began)
            case "event":
                run = f"r{d.randrange(self.runs + 1)}"
                asks = event("step_requested", run, self.now, step_id=f"{self.now}", action="send_message")
                ends = event("run_finished", run, self.past(), outcome="done")
                await workflow(self.pool, d.choice((asks, ends)))
            case "send":
                self.sends += 1
                at_minute = self.past()
                asked = request(f"s{self.sends}", to=self.who(), minutes=at_minute, late=self.now - at_minute)
                await send(self.pool, asked)
            case "unblock":
                await give(self.pool, self.late("unblock_contact", identity=by_phone(self.who())))
            case "block":
                await give(self.pool, self.late("block_contact", identity=by_phone(self.who())))
            case "undo":
                merges = await rows(self.pool, "SELECT merge_id FROM sluice.merge_history WHERE undone_at IS NULL")
                if merges:
                    await give(self.pool, ask("undo_merge", minutes=self.now, merge_id=merges[-1][0]))

    async def block(self) -> None:
        target: dict[str, Any] = {"identity": by_phone(self.who())}
        if self.dice.random() < 0.5:
            target = {"contact_id": self.dice.choice(await self.ids())}
        command = self.late("block_contact", **target)
        if command.value.issued_at < at(self.merged):
            return  # the blocks that each had before the merge come in between
        said, changed = await self.give(command)
        expected = {name: changed.get(name, 0) for name in BLOCKED}
        assert dict(zip(BLOCKED, said, strict=False)) == expected, target
        self.touched += Counter(expected)

    async def merge(self) -> None:
        survivor, loser = self.dice.choices(await self.ids(), k=2)
        command = ask("merge_contacts", minutes=self.now, survivor_id=survivor, loser_id=loser)
        said, changed = await self.give(command)
        assert (said.runs, said.messages) == (changed.get("runs_halted", 0), 0)
        assert said.contacts == (2 if changed else 0)
        self.merged = self.now if changed else self.merged
        self.touched["merged"] += bool(changed)

    async def delete(self) -> None:
        self.now += 0.5  # what was written at the moment of the deletion is a new contact's
        doomed = self.dice.sample(await self.ids(), 2)
        [(entries,)] = await rows(self.pool, ENTRIES, doomed)
        counted = {who for (who,) in await rows(self.pool, PRESENT, doomed)}
        said, changed = await self.give(
            ask("delete_contacts", minutes=self.now, contact_ids=doomed, expected_count=len(counted))
        )
        assert (said.runs, said.holds, said.contacts) == tuple(changed[name] for name in DELETED)
        assert said.messages == entries
        self.touched += Counter(deleted_runs=said.runs, deleted_holds=said.holds, erased=entries)

    async def give(self, command: Any) -> tuple[Impact, dict[str, Any]]:
        """What was said before, and what it changed. It also counted as many contacts more or less as was said."""
        said = await impact(self.pool, command)
        assert said is not None
        [(before,)] = await rows(self.pool, ACTIVE)
        [changed] = await results(self.pool, command)
        [(after,)] = await rows(self.pool, ACTIVE)
        assert said.active_contacts == after - before
        self.touched["active"] -= said.active_contacts
        return said, changed if isinstance(changed, dict) else {}


async def test_commands_do_what_was_foreseen(databases: Databases) -> None:
    touched: Counter[str] = Counter()
    for seed in SEEDS:
        async with databases.migrated() as url, pool_of(url, name="test") as pool:
            story = Story(pool, seed)
            await story.begins()
            for n in range(EVENTS):
                await story.happens()
                if n % 3 == 0:
                    await story.block()
                if n % 20 == 0:
                    await story.merge()
            await story.delete()
            touched += story.touched
    # Otherwise the stories would show nothing.
    assert min(touched[name] for name in (*BLOCKED, "merged", "active", "deleted_runs", "erased")) > 1, touched


async def test_a_block_reaches_runs_below_and_holds_of_a_survivor(pool: Pool) -> None:
    await protected_people(pool)
    ana, ben, _ = [contact_id for (contact_id,) in await rows(pool, IDS)]
    await workflow(
        pool,
        start("r1", -3, "shortcut", contact_id=ana),
        start("r2", -2, "shortcut", contact_id=ben, parent_run_id="r1"),
        start("r3", -1, "shortcut", contact_id=ben, parent_run_id="r2"),
    )
    await send(pool, request("s1", to=PEOPLE[0]), request("s2", to=ana))
    block = {"command": "block_contact", "contact_id": ana}

    assert await impact(pool, block) == Impact(runs=3, holds=2, contacts=1)
    assert await impact(pool, block | {"issued_at": at(0)}) == Impact(runs=3, holds=2, messages=1, contacts=1)
    assert await impact(pool, block | {"issued_at": at(9_999_999)}) == await impact(pool, block)
    await give(pool, ask("merge_contacts", minutes=30, survivor_id=ben, loser_id=ana))
    assert await impact(pool, block) == Impact(holds=2, contacts=1)
    await give(pool, ask("block_contact", minutes=40, contact_id=ben))
    assert await impact(pool, block) == await impact(pool, block | {"contact_id": ben}) == Impact()


async def test_a_block_in_the_past_ends_with_the_next_unblock_and_counts_less_in_later_cycles(pool: Pool) -> None:
    await protected_people(pool)
    [(ana,), *_] = await rows(pool, IDS)
    await ingest(pool, message(PEOPLE[0], minutes=MONTH))
    block = ask("block_contact", minutes=5, contact_id=ana, timestamp=at(MONTH))
    assert await impact(pool, block) == Impact(messages=1, contacts=1, active_contacts=-1)

    await give(pool, ask("unblock_contact", minutes=20, contact_id=ana))
    await send(pool, request("s1", to=ana, minutes=10), request("s2", to=ana, minutes=30))
    assert await impact(pool, block) == Impact(holds=1, contacts=1)
    assert await results(pool, block) == [{"runs_halted": 0, "holds_cancelled": 1, "messages_revised": 0}]


async def test_a_target_is_found_as_commands_find_it(pool: Pool) -> None:
    await ingest(pool, message("Ana@Example.org", channel="email"), message("7", channel="webchat", channel_id="w1"))
    await workflow(pool, start("r1", 1, identity={"channel": "email", "address": "ana@example.org"}))
    known, unknown = Impact(contacts=1, runs=1), Impact(contacts=1)
    for identity, expected in (
        ({"channel": "email", "address": "Ana@example.ORG"}, known),
        ({"channel": "email", "address": "bob@example.org"}, unknown),
        ({"channel": "webchat", "address": "7", "channel_id": "w1"}, unknown),
    ):
        assert await impact(pool, {"command": "block_contact", "identity": identity}) == expected
    nobody = {"command": "block_contact", "contact_id": uuid_of("nobody")}
    assert await impact(pool, nobody) == Impact()
    assert await impact(pool, nobody | {"command": "add_tag"}) is None


async def test_a_merge_halts_moves_holds_and_counts_one_less(pool: Pool) -> None:
    await protected_people(pool)
    ana, ben, cat = [contact_id for (contact_id,) in await rows(pool, IDS)]
    await workflow(pool, start("r1", 1, contact_id=ana), start("r2", 1, contact_id=ben))
    await send(pool, request("s1", to=ana), request("s2", to=ana), request("s3", to=ben))

    merge = {"command": "merge_contacts", "survivor_id": ben, "loser_id": ana}
    assert await impact(pool, merge) == Impact(runs=1, holds=2, contacts=2, active_contacts=-1)
    assert await impact(pool, merge | {"loser_id": ben}) == Impact()
    await give(pool, ask("block_contact", contact_id=cat))
    assert await impact(pool, merge | {"survivor_id": cat}) == Impact()
    assert await impact(pool, merge | {"loser_id": uuid_of("nobody")}) == Impact()


async def test_a_deletion_erases_conversations_and_what_is_kept_of_dropped_messages(pool: Pool) -> None:
    await protected_people(pool)
    ana, ben, _ = [contact_id for (contact_id,) in await rows(pool, IDS)]
    await workflow(pool, start("r1", 1, contact_id=ana), start("r2", 1, contact_id=ben))
    await send(pool, request("s1", to=ana), request("s2", to=ben))
    await give(
        pool, ask("comment", minutes=2, contact_id=ana, text="rude"), ask("block_contact", minutes=3, contact_id=ana)
    )
    await ingest(pool, message(PEOPLE[0], minutes=4))

    delete = {"command": "delete_contacts", "contact_ids": [ana, ana, uuid_of("nobody")]}
    assert await impact(pool, delete) == Impact(messages=3, contacts=1)
    assert await impact(pool, delete | {"contact_ids": [ben]}) == Impact(runs=1, holds=1, messages=1, contacts=1)
    everybody = {"command": "delete_contacts", "all": True}
    assert await impact(pool, everybody) == Impact(runs=1, holds=1, messages=5, contacts=3)
    await give(pool, ask("delete_contacts", minutes=5, contact_ids=[ana], expected_count=1))
    assert await impact(pool, everybody) == Impact(runs=1, holds=1, messages=2, contacts=2)


async def test_what_protects_tells_whose_sends_will_wait(pool: Pool) -> None:
    await ingest(pool, *(message(address) for address in PEOPLE[:3]))
    ana, ben, cat = [contact_id for (contact_id,) in await rows(pool, IDS)]
    await give(
        pool,
        ask("define_status", name="lead", protected=False),
        ask("define_status", name="VIP", protected=True),
        ask("define_company", company_id="c1", name="One"),
        *(ask("create_profile", profile_id=name, name=name) for name in ("p1", "p2")),
        *(ask("set_profile_status", profile_id=name, status="lead") for name in ("p1", "p2")),
        ask("set_profile_companies", profile_id="p1", company_ids=["c1"]),
        *(ask("attach_contact", contact_id=who, profile_id="p1") for who in (ana, ben)),
        ask("attach_contact", contact_id=cat, profile_id="p2"),
    )
    await workflow(pool, start("r1", 1, contact_id=ana), start("r2", 1, contact_id=cat))
    protect = {"command": "protect_company", "company_id": "c1"}
    companies = {"command": "set_profile_companies", "profile_id": "p2", "company_ids": ["c1"]}
    named = {"command": "attach_contact", "contact_id": ana, "profile_name": " P2 "}
    for command, expected in (
        (protect, Impact(runs=1, contacts=2)),
        ({"command": "define_status", "name": "lead", "protected": True}, Impact(runs=2, contacts=3)),
        ({"command": "define_status", "name": "lead", "protected": False}, Impact()),
        ({"command": "set_profile_status", "profile_id": "p2", "status": "VIP"}, Impact(runs=1, contacts=1)),
        ({"command": "set_profile_status", "profile_id": "p2", "status": None}, Impact()),
        (companies, Impact()),
        (named, Impact()),
    ):
        assert await impact(pool, command) == expected, command

    await give(pool, ask("set_profile_status", minutes=2, profile_id="p2", status="VIP"))
    assert await impact(pool, named) == Impact(runs=1, contacts=1)
    assert await impact(pool, named | {"contact_id": cat}) == Impact()
    await give(pool, ask("protect_company", minutes=2, company_id="c1"))
    await send(pool, request("s1", to=ana))
    assert await impact(pool, protect) == await impact(pool, companies) == Impact()
    await give(pool, ask("unprotect_company", minutes=3, company_id="c1"))
    assert await impact(pool, protect) == Impact(runs=1, holds=1, contacts=2)


async def test_no_figure_goes_beyond_ten_thousand_and_one(pool: Pool) -> None:
    await protected_people(pool)
    [(ana,), *_] = await rows(pool, IDS)
    await send(pool, request("s1", to=ana))
    await workflow(pool, start("r1", 1, contact_id=ana))
    for table, key in (("sends", "send_id"), ("workflow_runs", "run_id")):
        await rows(pool, MANY.format(table=table, key=key), 10_500)

    block = {"command": "block_contact", "contact_id": ana}
    assert await impact(pool, block) == Impact(runs=10_001, holds=10_001, contacts=1)
    assert await impact(pool, block | {"command": "delete_contacts", "contact_ids": [ana]}) == Impact(
        runs=10_001, holds=10_001, messages=1, contacts=1
    )


async def test_readers_may_ask(pool: Pool) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL ROLE sluice_reader")
        everybody = '{"command": "delete_contacts", "all": true}'
        found = await connection.fetch("SELECT * FROM sluice.impact('acme', $1::text::jsonb)", everybody)
    assert [tuple(row) for row in found] == [Impact()]


async def protected_people(pool: Pool) -> None:
    """Three people who wrote, of a profile that is protected."""
    await ingest(pool, *(message(address, minutes=0) for address in PEOPLE[:3]))
    await give(
        pool,
        ask("define_status", name="VIP", protected=True),
        ask("create_profile", profile_id="p", name="VIPs"),
        ask("set_profile_status", profile_id="p", status="VIP"),
        *(ask("attach_contact", identity=by_phone(address), profile_id="p") for address in PEOPLE[:3]),
    )
