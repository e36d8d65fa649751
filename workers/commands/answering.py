"""confirm_send and reject_send: what people answered, handed to the room that owns the holds."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from schemas.commands import ConfirmSend, RejectSend
from workers.commands.asked import Asked
from workers.outbound.answering import Answer, Answered, Confirm, Reject, answer
from workers.rules.results import Done, Reason, Refused, Result
from workers.runtime.batch import Connection, Output
from workers.store import sends
from workers.store.commands import CommandKey
from workers.store.contacts import ContactKey


async def people(tx: Connection, asked: Sequence[Asked[ConfirmSend | RejectSend]]) -> set[ContactKey]:
    """The contacts whose holds are answered."""
    answered = {a.key: a.command for a in asked}.values()
    groups = await sends.of_groups(tx, {(c.workspace_id, c.group_id) for c in answered if c.group_id is not None})
    single = {(c.workspace_id, c.send_id) for c in answered if c.send_id is not None}
    wanted = single.union(*groups.values())
    held = (s for s in (await sends.read(tx, wanted)).values() if s.status == "held") if wanted else ()
    return {(s.workspace_id, s.contact_id) for s in held if s.contact_id is not None}


async def carry_out(
    tx: Connection, asked: Sequence[Asked[ConfirmSend | RejectSend]], now: datetime
) -> tuple[dict[CommandKey, Result], list[Output]]:
    """The results of the answers, and the facts they lead to.

    Raises:
        RetryBatch: a send moved to another contact while it was waited for.
    """
    answered, outputs = await answer(tx, [_answer(a) for a in asked], now)
    return {(a.workspace_id, a.command_id): _result(a) for a in answered}, outputs


def _answer(asked: Asked[ConfirmSend | RejectSend]) -> Answer:
    command = asked.command
    kind = Confirm if isinstance(command, ConfirmSend) else Reject
    return kind(
        command_id=command.command_id,
        workspace_id=command.workspace_id,
        actor_id=command.actor.id,
        actor_role=command.actor.role,
        issued_at=asked.stamp.at,
        origin=asked.record,
        send_id=command.send_id,
        group_id=command.group_id,
    )


def _result(answered: Answered) -> Result:
    return Done(answered.changed) if answered.reason is None else Refused(cast("Reason", answered.reason))
