"""What the tests of the outbound worker share: requests, receipts, contacts, and the worker's functions."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from asyncpg import Pool
from msgspec.structs import replace

from schemas.actors import Actor
from schemas.settings_commands import ConfirmSend, RejectSend
from tests.workers.records import WORKSPACE, at, batch, message, record, uuid_of
from workers.commands.command_record import CommandRecord
from workers.messages import worker as inbound
from workers.records import Output, Record
from workers.rules.blocks import BlockChange, Interval
from workers.rules.cycles import Setting
from workers.rules.results import Refused, Result
from workers.sends import cancelling, hold_answers, jobs, worker
from workers.sends.hold_answers import Answer
from workers.store import contacts, workspaces

PHONE = "+4915112345678"
ORIGIN = message()
TEMPORARY: dict[str, Any] = {"error": {"code": "busy", "message": "try later"}}
PERMANENT: dict[str, Any] = {"error": {"code": "gone", "permanent": True}}
"""What receipts of failed attempts say."""


def request(
    name: str = "s1", *, minutes: float = 10, partition: int = 0, late: float = 0, **fields: Any
) -> Record[Any]:
    """A send request; `to` is an address or a contact's id."""
    to = fields.pop("to", PHONE)
    channel = fields.pop("channel", "whatsapp")
    value = {
        "send_id": uuid_of(name),
        "workspace_id": WORKSPACE,
        "channel_id": f"{channel}-main",
        "channel": channel,
        "to": {"contact_id": to} if isinstance(to, UUID) else {"address": to},
        "content": {"type": "text", "text": f"text of {name}"},
        "requested_at": at(minutes),
        "requested_by": {"id": "ann", "role": "agent"},
        "source": "inbox",
    }
    return record("messages.outbound", value | fields, timestamp=at(minutes + late), partition=partition)


def receipt(status: str, name: str | None = "s1", *, minutes: float = 20, **fields: Any) -> Record[Any]:
    value = {"workspace_id": WORKSPACE, "channel_id": "whatsapp-main", "status": status, "at": at(minutes)}
    if name is not None:
        value["send_id"] = str(uuid_of(name))
    return record("messages.receipts", value | fields, timestamp=at(minutes))


async def transact(pool: Pool, work: Callable[[Any], Awaitable[Any]]) -> Any:
    async with pool.acquire() as tx, tx.transaction():
        return await work(tx)


async def send(pool: Pool, *records: Record[Any], now: datetime | None = None) -> list[Output]:
    outputs: list[Output] = await transact(pool, lambda tx: worker.apply(tx, batch(*records, now=now)))
    return outputs


async def repeat(pool: Pool, minutes: float) -> list[Output]:
    """Makes the next attempts that are due by then."""
    outputs: list[Output] = await transact(pool, lambda tx: jobs.repeat(tx, at(minutes)))
    return outputs


async def wrote(pool: Pool, address: str = PHONE, **fields: Any) -> UUID:
    """A contact that wrote once."""
    await transact(pool, lambda tx: inbound.apply(tx, batch(message(address, **fields))))
    [(contact_id,)] = await rows(pool, "SELECT contact_id FROM identities WHERE address = $1", address)
    found: UUID = contact_id
    return found


async def protect(pool: Pool, contact_id: UUID, *, status: str = "VIP", minutes: float = 0) -> None:
    """Attach the contact to a profile of its own whose status is protected."""
    key = str(contact_id)
    moment = at(minutes)
    async with pool.acquire() as tx:
        await tx.execute(
            "INSERT INTO profile_statuses VALUES ($1, $2, true, $3, $3, $4) ON CONFLICT DO NOTHING",
            WORKSPACE,
            status,
            moment,
            uuid_of("status"),
        )
        await tx.execute(
            "INSERT INTO profiles (workspace_id, profile_id, name, name_key, status, status_at, created_by, created_at)"
            " VALUES ($1, $2, $2, $2, $3, $4, 'ann', $4)",
            WORKSPACE,
            key,
            status,
            moment,
        )
        await tx.execute(
            "UPDATE contacts SET profile_id = $2, profile_at = $3 WHERE contact_id = $1", contact_id, key, moment
        )


async def join_company(pool: Pool, contact_id: UUID, company: str, *, minutes: float = 0) -> None:
    """Make the contact's profile belong to a protected company."""
    async with pool.acquire() as tx:
        await tx.execute(
            "INSERT INTO companies (workspace_id, company_id, name, named_at, named_by, protected, protected_since)"
            " VALUES ($1, $2, $2, $3, $4, true, $3)",
            WORKSPACE,
            company,
            at(minutes),
            uuid_of("company"),
        )
        await tx.execute(
            "INSERT INTO profile_companies VALUES ($1, $2, $3, $4)", WORKSPACE, str(contact_id), company, at(minutes)
        )


async def block(
    pool: Pool, contact_id: UUID, start: float, end: float | None = None, command: str = "block"
) -> list[Output]:
    """Give the contact this block history, as a command does."""

    async def work(tx: Any) -> list[Output]:
        key = (WORKSPACE, contact_id)
        before = (await contacts.lock_for_update(tx, [key]))[key].intervals
        after = (Interval(at(start), None if end is None else at(end), "bob"),)
        await contacts.save_blocks(tx, {key: after})
        change = BlockChange(WORKSPACE, contact_id, uuid_of(command), at(start), before, after)
        _, outputs = await cancelling.cancel_blocked(tx, {key: change}, {key: ORIGIN}, at(30))
        return outputs

    outputs: list[Output] = await transact(pool, work)
    return outputs


async def configure(pool: Pool, **settings: Any) -> None:
    """Workspace settings, as configure_workspace writes them."""
    new = [(WORKSPACE, Setting(at(0), uuid_of("set"), "", name, value)) for name, value in settings.items()]
    await transact(pool, lambda tx: workspaces.add_settings(tx, new))


async def run(pool: Pool, run_id: str, *, state: str = "running", revision: int = 1) -> None:
    """A workflow run as the workflows worker keeps it."""
    async with pool.acquire() as tx:
        await tx.execute(
            "INSERT INTO workflow_runs (workspace_id, run_id, workflow_id, trigger, started_at, state, revision)"
            " VALUES ($1, $2, 'w', 'automatic', $3, $4, $5)",
            WORKSPACE,
            run_id,
            at(0),
            state,
            revision,
        )


def confirm(name: str = "s1", *, by: str = "bob", group: str | None = None, command: str = "yes") -> Answer:
    return _answer(ConfirmSend, name, by, group, command)


def reject(name: str = "s1", *, by: str = "bob", group: str | None = None, command: str = "no") -> Answer:
    return _answer(RejectSend, name, by, group, command)


def _answer(kind: type[ConfirmSend] | type[RejectSend], name: str, by: str, group: str | None, command: str) -> Answer:
    value = kind(
        command_id=uuid_of(command),
        workspace_id=WORKSPACE,
        actor=Actor(id=by, role="agent", module="inbox"),
        issued_at=at(30),
        send_id=None if group else uuid_of(name),
        group_id=group,
    )
    return CommandRecord(0, replace(ORIGIN, value=value, timestamp=at(30)))


class AnswerResult(NamedTuple):
    """An answer's result: `reason` and `detail` if it was refused, else how many sends changed."""

    outcome: str
    reason: str | None
    changed: Mapping[str, int]
    detail: str = ""


async def answer_in(
    tx: Any, answers: Sequence[Answer], now: datetime | None = None
) -> tuple[list[AnswerResult], list[Output]]:
    results, outputs = await hold_answers.carry_out(tx, await hold_answers.load_subjects(tx, answers), now or at(30))
    return [_told(results[given.key]) for given in answers], outputs


def _told(result: Result) -> AnswerResult:
    if isinstance(result, Refused):
        return AnswerResult("refused", result.reason, {}, result.detail)
    return AnswerResult("done", None, result.changed)


async def answer(pool: Pool, *answers: Answer, now: datetime | None = None) -> tuple[list[AnswerResult], list[Output]]:
    result: tuple[list[AnswerResult], list[Output]] = await transact(pool, lambda tx: answer_in(tx, answers, now))
    return result


async def rows(pool: Pool, query: str, *args: object) -> list[tuple[Any, ...]]:
    async with pool.acquire() as connection:
        return [tuple(row) for row in await connection.fetch(query, *args)]


async def standing(pool: Pool, name: str = "s1") -> tuple[str, str | None, int]:
    """Status, reason and attempt as the view shows them."""
    [row] = await rows(pool, "SELECT status, reason, attempt FROM sluice.sends WHERE send_id = $1", uuid_of(name))
    status, reason, attempt = row
    return status, reason, attempt


async def claim(pool: Pool, name: str = "s1", attempt: int = 1) -> tuple[bool, str | None]:
    [row] = await rows(pool, "SELECT * FROM claim_send($1, $2, $3)", WORKSPACE, uuid_of(name), attempt)
    return row[0], row[1]


def values(outputs: Sequence[Output], topic: str) -> list[dict[str, Any]]:
    return [msgspec.json.decode(o.event.value or b"") for o in outputs if o.event.topic == topic]


def statuses(outputs: Sequence[Output]) -> list[tuple[str, str | None]]:
    return [(v["status"], v["reason"]) for v in values(outputs, "sends.status")]
