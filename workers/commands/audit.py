"""How a command is remembered: one row, whatever became of it, and one fact."""

from typing import Any, Final

import msgspec

from schemas.commands import InvalidCommand
from schemas.ids import fact_id
from schemas.outputs import ENCODER, CommandResult
from workers.commands.asked import Asked
from workers.commands.targets import Targets
from workers.rules.results import Refused, Result
from workers.runtime.batch import Fact, Output
from workers.store.commands import Answered, CommandRow

_TOPIC: Final = "commands.results"
_LONGEST_TARGET: Final = 512
_TARGETS: Final = (
    "contact_ids",
    "survivor_id",
    "loser_id",
    "merge_id",
    "profile_id",
    "profile_name",
    "company_id",
    "send_id",
    "group_id",
    "channel_id",
)


def row(asked: Asked[Any], targets: Targets, result: Result) -> CommandRow:
    command = asked.command
    return CommandRow(
        workspace_id=command.workspace_id,
        command_id=command.command_id,
        command=asked.name,
        actor_id=command.actor.id,
        actor_role=command.actor.role,
        target=_target(asked, targets),
        issued_at=asked.issued_at,
        result=result,
    )


def fact(asked: Asked[Any], answered: Answered) -> Output:
    """`commands.results`: the same bytes however often the command is given."""
    workspace_id, command_id = asked.key
    result = answered.result
    refused = isinstance(result, Refused)
    value = CommandResult(
        workspace_id=workspace_id,
        command_id=command_id,
        command=answered.command,
        outcome="refused" if refused else "done",
        reason=result.reason if isinstance(result, Refused) else None,
        changed={} if isinstance(result, Refused) else dict(result.changed),
    )
    told = Fact(
        topic=_TOPIC,
        key=f"{workspace_id}:{command_id}".encode(),
        value=ENCODER.encode(value),
        ce_id=fact_id(_TOPIC, workspace_id, str(command_id)),
        workspace_id=workspace_id,
        time=answered.applied_at,
        traceparent=asked.record.traceparent,
    )
    return Output(asked.record.source, told)


def _target(asked: Asked[Any], targets: Targets) -> str | None:
    """JSON text of what the command names. The contact stands in for its address: the log outlives deletion."""
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
