"""close_cycle: closes a cycle that a standing partition holds open. The billing worker does it within seconds."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from schemas.fields import utc_text
from schemas.settings_commands import CloseCycle
from workers.commands.command_record import CommandRecord
from workers.rules.results import Done, Refused, Result
from workers.store import closing
from workers.store.commands import CommandKey
from workers.store.connection import Connection
from workers.store.workspaces import Workspace


async def carry_out(
    tx: Connection, asked: Sequence[CommandRecord[CloseCycle]], tenants: Mapping[str, Workspace], now: datetime
) -> dict[CommandKey, Result]:
    """The results of the commands."""
    return {a.key: await _close(tx, a, tenants[a.command.workspace_id], now) for a in asked}


async def _close(tx: Connection, asked: CommandRecord[CloseCycle], tenant: Workspace, now: datetime) -> Result:
    command = asked.command
    found = await closing.find(tx, command.workspace_id, command.cycle_start)
    if found is None:
        return Refused("not_found", "`cycle_start`: no cycle of this workspace starts then")
    if found.closed or found.asked:
        return Done()
    closes_at = tenant.calendar.closes_at(found.cycle)
    if closes_at > max(now, asked.record.recorded_at):
        return Refused(
            "invalid", f"`cycle_start`: this cycle is not over yet; it closes by itself from {utc_text(closes_at)} on"
        )
    await closing.ask(tx, command.workspace_id, command.cycle_start, command.command_id, command.reason)
    return Done({"cycle_start": command.cycle_start})
