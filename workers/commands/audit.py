"""The audit log: one row and one event for each command, whatever its result."""

from typing import Any, Final

import msgspec

from schemas.commands import InvalidCommand
from schemas.ids import fact_id
from schemas.outputs import ENCODER, CommandResult
from workers.commands.command_record import CommandRecord
from workers.commands.targets import Targets
from workers.records import Event, Output
from workers.rules.results import Refused, Result
from workers.store.commands import Answered, CommandRow

_TOPIC: Final = "commands.results"
_LONGEST_TARGET: Final = 512
_TARGETS: Final = (
    "contact_ids",
    "survivor_id",
    "loser_id",
    "merge_id",
    "profile_id",
    "company_id",
    "send_id",
    "group_id",
    "channel_id",
)


def row(asked: CommandRecord[Any], targets: Targets, result: Result) -> CommandRow:
    command = asked.command
    return CommandRow(
        workspace_id=command.workspace_id,
        command_id=command.command_id,
        command=asked.name,
        actor_id=command.actor.id,
        actor_role=command.actor.role,
        actor_module=command.actor.module,
        target=_target(asked, targets),
        issued_at=asked.issued_at,
        result=result,
    )


def event(asked: CommandRecord[Any], answered: Answered) -> Output:
    """`commands.results`: the same bytes however often the command is given."""
    workspace_id, command_id = asked.key
    result = answered.result
    refused = result if isinstance(result, Refused) else None
    value = CommandResult(
        workspace_id=workspace_id,
        command_id=command_id,
        command=answered.command,
        outcome="done" if refused is None else "refused",
        reason=None if refused is None else refused.reason,
        detail=None if refused is None else refused.detail or None,
        changed={} if isinstance(result, Refused) else dict(result.changed),
    )
    event = Event(
        topic=_TOPIC,
        key=f"{workspace_id}:{command_id}".encode(),
        value=ENCODER.encode(value),
        ce_id=fact_id(_TOPIC, workspace_id, str(command_id)),
        workspace_id=workspace_id,
        time=answered.applied_at,
        traceparent=asked.record.traceparent,
    )
    return Output(asked.record.source, event)


def _target(asked: CommandRecord[Any], targets: Targets) -> str | None:
    """JSON text of what the command names. Has the contact instead of its address, because the log outlives
    deletion.
    """
    command = asked.command
    if isinstance(command, InvalidCommand):
        return command.target
    named: dict[str, Any] = {}
    if asked.key in targets.named:
        named["contact_id"] = targets.named[asked.key][1]
    elif (identity := getattr(command, "identity", None)) is not None:
        named["identity"] = {"channel": identity.channel, "channel_id": identity.channel_id}
    named |= {name: value for name in _TARGETS if (value := getattr(command, name, None)) is not None}
    return msgspec.json.encode(named).decode()[:_LONGEST_TARGET] if named else None
