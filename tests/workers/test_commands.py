"""The commands worker on a real database: applied once, permitted or refused, and audited in both cases."""

import asyncio

import msgspec
import pytest
from asyncpg import Pool

from schemas.ids import fact_id
from tests.workers.asking import ask, by_phone, give, results, rows, said
from tests.workers.records import WORKSPACE, at, batch, record, uuid_of
from workers.app import commands_worker
from workers.errors import RetryBatch

ANA = "+4915112345678"


async def test_a_command_given_twice_does_nothing_the_second_time_and_answers_the_same(pool: Pool) -> None:
    first = ask("create_profile", name="Ada", command_id=uuid_of("once"))
    again = ask("create_profile", name="Ada", command_id=uuid_of("once"), minutes=5, partition=1)

    [answer, repeated] = await give(pool, first, again)
    [later] = await give(pool, again, now=at(60))

    assert answer.event.value == repeated.event.value == later.event.value
    assert answer.event.ce_id == repeated.event.ce_id == later.event.ce_id
    assert later.event.ce_id == fact_id("commands.results", WORKSPACE, str(uuid_of("once")))
    assert (answer.event.time, later.event.time) == (at(5), at(5))
    assert (answer.source, later.source) == (first.source, again.source)
    assert await rows(pool, "SELECT count(*) FROM sluice.profile_overview") == [(1,)]


async def test_a_command_id_is_unique_within_its_workspace_only(pool: Pool) -> None:
    same = uuid_of("same")
    one, two = (ask("create_profile", name="Ada", command_id=same, workspace_id=w) for w in ("one", "two"))

    await give(pool, one, two)

    assert await rows(pool, "SELECT workspace_id FROM sluice.profile_overview ORDER BY 1") == [("one",), ("two",)]


async def test_two_partitions_that_apply_one_command_at_once_apply_it_once(pool: Pool) -> None:
    twins = [ask("create_profile", name="Ada", command_id=uuid_of("once"), partition=p) for p in (0, 1)]
    async with pool.acquire() as first, pool.acquire() as second:
        ahead, behind = first.transaction(), second.transaction()
        await ahead.start()
        await behind.start()
        await commands_worker.apply(first, batch(twins[0]))
        waiting = asyncio.create_task(commands_worker.apply(second, batch(twins[1])))
        while not await rows(pool, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not waiting.done()
        await ahead.commit()
        with pytest.raises(RetryBatch):
            await waiting
        await behind.rollback()

    assert len(await give(pool, twins[1])) == 1
    assert await rows(pool, "SELECT count(*) FROM sluice.profile_overview") == [(1,)]


async def test_the_result_is_routed_by_its_command(pool: Pool) -> None:
    command = ask("define_status", name="vip", protected=True)
    [output] = await give(pool, command)

    assert output.event.key == f"{WORKSPACE}:{command.value.command_id}".encode()
    assert msgspec.json.decode(output.event.value or b"") == {
        "workspace_id": WORKSPACE,
        "command_id": str(command.value.command_id),
        "command": "define_status",
        "outcome": "done",
        "reason": None,
        "detail": None,
        "changed": {"name": "vip", "protected": True},
    }


async def test_what_an_actor_may_not_do_is_refused_before_anything_else(pool: Pool) -> None:
    forbidden = [
        ask("block_contact", role="agent", module="contacts", identity=by_phone(ANA)),
        ask("define_status", role="manager", restrictions=["settings"], name="vip", protected=True),
        ask("configure_workspace", role="manager", set={"quarantine_days": 1}),
        ask("merge_contacts", role="agent", survivor_id=uuid_of("a"), loser_id=uuid_of("b")),
    ]
    assert await results(pool, *forbidden) == ["not_permitted"] * 4
    for view in ("contact_overview", "profile_statuses"):
        assert await rows(pool, f"SELECT 1 FROM sluice.{view}") == []  # noqa: S608 - names of views


async def test_wrong_fields_are_refused_as_invalid(pool: Pool) -> None:
    head = {"command_id": uuid_of("bad"), "workspace_id": WORKSPACE, "command": "set_profile_status"}
    actor = {"id": "olga", "role": "owner", "module": "api"}
    bad = record("contacts.commands", head | {"actor": actor, "profile_id": 7}, timestamp=at(0))

    assert await results(pool, bad) == ["invalid"]
    assert await rows(pool, "SELECT command, target, reason FROM sluice.audit_log") == [
        ("set_profile_status", '{"profile_id":7}', "invalid")
    ]


async def test_everything_is_audited_what_was_refused_too(pool: Pool) -> None:
    await give(
        pool,
        ask("create_profile", profile_id="p-1", name="Ada", actor="ann", role="agent", module="inbox"),
        ask("protect_company", company_id="c-9", actor="max", role="manager"),
        ask("confirm_send", send_id=uuid_of("send")),
        now=at(7),
    )
    given = "SELECT actor, role, module FROM sluice.audit_list ORDER BY actor"
    assert await rows(pool, given) == [("ann", "agent", "inbox"), ("max", "manager", "api"), ("olga", "owner", "api")]
    audit = "SELECT workspace_id, at, actor, command, target, outcome, reason FROM sluice.audit_log ORDER BY actor"
    assert await rows(pool, audit) == [
        (WORKSPACE, at(7), "ann", "create_profile", '{"profile_id":"p-1"}', "done", None),
        (WORKSPACE, at(7), "max", "protect_company", '{"company_id":"c-9"}', "refused", "not_found"),
        (WORKSPACE, at(7), "olga", "confirm_send", f'{{"send_id":"{uuid_of("send")}"}}', "refused", "not_found"),
    ]


async def test_the_audit_log_names_contacts_and_no_addresses(pool: Pool) -> None:
    await give(
        pool,
        ask("unblock_contact", identity=by_phone(ANA)),
        ask("block_contact", identity=by_phone(ANA)),
        ask("block_contact", role="agent", module="contacts", identity=by_phone(ANA)),
    )
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM sluice.contact_overview")
    targets = await rows(pool, "SELECT target FROM sluice.audit_log")
    known = f'{{"contact_id":"{contact_id}"}}'
    assert sorted(targets) == sorted([(known,), (known,), ('{"identity":{"channel":"whatsapp","channel_id":null}}',)])


async def test_a_workspace_exists_from_its_first_command_on_also_a_refused_one(pool: Pool) -> None:
    await give(pool, ask("protect_company", company_id="c-1"))
    assert await rows(pool, "SELECT workspace_id FROM sluice.workspace_settings") == [(WORKSPACE,)]


async def test_a_time_of_issue_in_the_future_is_not_believed(pool: Pool) -> None:
    ahead = ask("block_contact", identity=by_phone(ANA), minutes=60, timestamp=at(1))
    await give(pool, ahead)
    assert await rows(pool, "SELECT blocked_at FROM sluice.blocked_contacts") == [(at(1),)]


async def test_two_thousand_commands_take_a_handful_of_statements(pool: Pool) -> None:
    asked = [ask("block_contact", identity=by_phone(f"+491511234{n:04}")) for n in range(1_000)]
    asked += [ask("attach_contact", identity=by_phone(f"+491511234{n:04}"), profile_name=f"P{n}") for n in range(1_000)]
    statements: list[str] = []
    async with pool.acquire() as tx, tx.transaction():
        with tx.query_logger(lambda entry: statements.append(entry.query)):
            outputs = await commands_worker.apply(tx, batch(*asked))

    assert all(isinstance(answer, dict) and answer for answer in said(outputs))
    assert len(statements) < 60
