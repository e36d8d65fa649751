"""Who may not give a command is refused, whatever it asks for: nothing changes, and the audit log tells."""

from itertools import product
from typing import Any, get_args

import msgspec
from asyncpg import Pool

from schemas.actors import Actor, Module, Restriction
from schemas.fields import Role
from tests.schemas.samples import COMMANDS
from tests.workers.asking import give, rows
from tests.workers.records import WORKSPACE, at, record, uuid_of
from workers.records import Record
from workers.rules.permissions import forbids

BOUND: tuple[tuple[Restriction, ...], ...] = ((), *((one,) for one in get_args(Restriction)), get_args(Restriction))


def actors() -> list[Actor]:
    return [
        Actor(id="somebody", role=role, module=module, restrictions=given)
        for role, module, given in product(get_args(Role), get_args(Module), BOUND)
    ]


def command(name: str, fields: dict[str, Any], actor: Actor) -> Record[Any]:
    head = {"command_id": uuid_of(f"{name} {actor}"), "workspace_id": WORKSPACE, "command": name}
    head |= {"actor": msgspec.to_builtins(actor), "issued_at": at(0)}
    return record("contacts.commands", head | fields, timestamp=at(0))


async def test_each_refusal_is_audited_and_changes_nothing(pool: Pool) -> None:
    refused = {
        (name, actor): command(name, fields, actor)
        for (name, fields), actor in product(COMMANDS.items(), actors())
        if forbids(name, actor) is not None
    }
    assert {actor.role for _, actor in refused} == {"agent", "manager", "owner"}

    outputs = await give(pool, *refused.values())

    answers = [msgspec.json.decode(output.event.value or b"") for output in outputs]
    assert len(answers) == len(refused)
    assert {answer["reason"] for answer in answers} == {"not_permitted"}
    assert [answer["detail"] for answer in answers] == [forbids(*key) for key in refused]
    audited = "SELECT actor, outcome, reason, count(*) FROM sluice.audit_log GROUP BY 1, 2, 3"
    assert await rows(pool, audited) == [("somebody", "refused", "not_permitted", len(refused))]
    for table in (
        "contacts",
        "profiles",
        "profile_notes",
        "companies",
        "profile_statuses",
        "channels",
        "block_commands",
    ):
        assert await rows(pool, f"SELECT count(*) FROM {table}") == [(0,)]  # noqa: S608


async def test_a_restriction_binds_a_manager_and_nobody_else(pool: Pool) -> None:
    asked = {role: command("define_status", {"name": role, "protected": True}, bound(role)) for role in get_args(Role)}
    await give(pool, *asked.values())
    assert await rows(pool, "SELECT name FROM sluice.profile_statuses ORDER BY name") == [("owner",), ("system",)]
    told = "SELECT detail LIKE '%`settings` forbids%' FROM sluice.audit_log WHERE reason = 'not_permitted' ORDER BY 1"
    assert await rows(pool, told) == [(False,), (True,)]


def bound(role: Role) -> Actor:
    return Actor(id=role, role=role, module="settings", restrictions=("settings",))
