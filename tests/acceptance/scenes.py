"""What tests of sends, runs and commands share: contacts in a known state, and the results of sends and runs."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tests.acceptance.stage import PHONE, WHATSAPP, Json, Published, Workspace, now

_HOUR: Final = now() - timedelta(hours=2)

STATUS_FIELDS: Final = {
    *("workspace_id", "send_id", "contact_id", "status", "reason", "reasons", "attempt", "at", "actor", "revision"),
}


def at(minutes: float) -> datetime:
    """A moment of an hour that is over."""
    return _HOUR + timedelta(minutes=minutes)


def moment(text: str) -> datetime:
    """A time as outputs have it."""
    assert text.endswith("Z")
    return datetime.fromisoformat(text)


def phone(number: int) -> str:
    """Somebody else's number."""
    return f"+4915187650{number:03}"


def whatsapp(address: str) -> Json:
    return {"channel": "whatsapp", "address": address}


def by(id_: str, role: str = "agent", module: str = "inbox", restrictions: list[str] | None = None) -> Json:
    """The field `actor` of a command."""
    return {"actor": {"id": id_, "role": role, "module": module, "restrictions": restrictions}}


async def protect(workspace: Workspace, *addresses: str, status: str = "vip", profile_id: str = "p-vip") -> None:
    """People who have written, all of one profile whose status is protected, since minute 0."""
    people = addresses or (PHONE,)
    await workspace.play_together(
        *(workspace.message(address=address, at=at(0)) for address in people),
        workspace.command("define_status", name=status, protected=True, at=at(0)),
        workspace.command("create_profile", profile_id=profile_id, name=profile_id, at=at(0)),
    )
    await workspace.play_together(
        workspace.command("set_profile_status", profile_id=profile_id, status=status, at=at(0)),
        *(
            workspace.command("attach_contact", identity=whatsapp(address), profile_id=profile_id, at=at(0))
            for address in people
        ),
    )


async def hold(workspace: Workspace, **fields: Any) -> Json:
    """A send to the usual number that is held for `status_protected`."""
    await protect(workspace)
    send = workspace.send(**({"at": at(10)} | fields))
    await workspace.play(send)
    assert (await standing(workspace, send))[0] == "held"
    return send


async def join_company(workspace: Workspace, company_id: str, *others: str, profile_id: str = "p-vip") -> None:
    """The profile belongs to a protected company, and to these others besides."""
    await workspace.play(
        workspace.command("define_company", company_id=company_id, name=company_id),
        workspace.command("protect_company", company_id=company_id),
        workspace.command("set_profile_companies", profile_id=profile_id, company_ids=[company_id, *others]),
    )


async def standing(workspace: Workspace, send: Json) -> tuple[str, str | None, int]:
    """Status, reason and attempt of a send as the view shows them."""
    row = await workspace.row("sends", send_id=UUID(send["send_id"]))
    return row["status"], row["reason"], row["attempt"]


async def told(workspace: Workspace, send: Json) -> list[Json]:
    """What `sends.status` told of a send, repeats left out, by revision."""
    facts = once(await workspace.outputs("sends.status"), send_id=send["send_id"])
    assert all(fact.keys() == STATUS_FIELDS for fact in facts)
    assert len({fact["revision"] for fact in facts}) == len(facts)
    return sorted(facts, key=lambda fact: fact["revision"])


async def statuses(workspace: Workspace, send: Json) -> list[str]:
    return [fact["status"] for fact in await told(workspace, send)]


async def dispatched(workspace: Workspace, send: Json) -> list[Json]:
    """What senders were given of a send, repeats left out."""
    return once(await workspace.outputs("sends.dispatch"), send_id=send["send_id"])


async def controls(workspace: Workspace, run_id: str) -> list[tuple[str, str | None, str | None]]:
    """Control, reason and step of what the engine was told of a run, repeats left out, by revision."""
    facts = once(await workspace.outputs("workflows.control"), run_id=run_id)
    return [(f["control"], f["reason"], f["step_id"]) for f in sorted(facts, key=lambda f: f["revision"])]


async def results(workspace: Workspace, *commands: Json) -> list[Json | str]:
    """What each command changed, or why it was refused."""
    answers = {value["command_id"]: value for value in await workspace.values("commands.results")}
    told_ = [answers[command["command_id"]] for command in commands]
    return [answer["changed"] if answer["outcome"] == "done" else answer["reason"] for answer in told_]


async def give(workspace: Workspace, name: str, /, **fields: Any) -> Json | str:
    """Gives a command: what it changed, or why it was refused."""
    command = workspace.command(name, **fields)
    await workspace.play(command)
    [result] = await results(workspace, command)
    return result


async def run(workspace: Workspace, run_id: str) -> tuple[str, str | None]:
    """State and reason of a run as the view shows them."""
    row = await workspace.row("workflow_runs", run_id=run_id)
    return row["state"], row["reason"]


async def halt(workspace: Workspace, run_id: str) -> None:
    """A run of the usual person that a block halted; the block is over."""
    await workspace.play(
        workspace.message(at=at(0)),
        workspace.event("run_started", run_id, at=at(1)),
        workspace.command("block_contact", identity=WHATSAPP, at=at(2)),
        workspace.command("unblock_contact", identity=WHATSAPP, at=at(3)),
    )
    assert await run(workspace, run_id) == ("halted", "contact_blocked")


async def claim(workspace: Workspace, send: Json, attempt: int = 1) -> tuple[bool, str | None]:
    """What a sender hears right before the provider."""
    row = await workspace.stage.pool.fetchrow(
        "SELECT granted, reason FROM sluice.claim_send($1, $2, $3)", workspace.id, UUID(send["send_id"]), attempt
    )
    return row["granted"], row["reason"]


async def become(workspace: Workspace, send: Json, status: str) -> None:
    """Waits for what upkeep makes of a send in its own time."""

    async def reached() -> bool:
        return (await standing(workspace, send))[0] == status

    await workspace.stage.until(reached, f"the send did not become {status}")


async def pass_time(workspace: Workspace, send: Json, column: str) -> None:
    """What a send waits for until a time that is far off is due now."""
    await workspace.stage.pool.execute(
        f"UPDATE sluice_core.sends SET {column} = now() WHERE workspace_id = $1 AND send_id = $2",  # noqa: S608
        workspace.id,
        UUID(send["send_id"]),
    )


def once(outputs: list[Published], **equal: Any) -> list[Json]:
    """Values that have these fields, the first of each `ce_id`."""
    found = {out.head["ce_id"]: out.value for out in reversed(outputs) if equal.items() <= out.value.items()}
    return list(reversed(found.values()))
