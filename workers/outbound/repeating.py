"""Sends that are judged again: the pause before another attempt is over, or a claim was denied."""

from datetime import datetime, timedelta
from typing import Final

from workers.outbound import cases, changes
from workers.outbound.changes import Changes
from workers.outbound.parking import wake
from workers.outbound.telling import Cause, origin_in
from workers.rules.sends import Case, Dispatch, judge
from workers.runtime.batch import Connection, Output
from workers.store import sends, workspaces
from workers.store.sends import Send

LIMIT: Final = 500


async def repeat(tx: Connection, now: datetime) -> list[Output]:
    """Judge up to 500 due sends of each kind again; call again at once while something comes back."""
    seen = await sends.read(tx, await sends.due(tx, now, LIMIT))
    if not seen:
        return []
    tenants = await workspaces.share(tx, {(s.workspace_id, s.channel_id, s.channel) for s in seen.values()})
    judged = await cases.load(tx, {key: cases.subject_of(send) for key, send in seen.items()})
    made = Changes(now)
    for key, send in sorted((await sends.lock(tx, seen.keys())).items()):
        # One that moved to another contact since it was read is still due: the next round takes it.
        if send.contact_id == seen[key].contact_id:
            hold_for = timedelta(hours=tenants[send.workspace_id].policies.hold_ttl_hours)
            _judge_again(made, send, judged[key], hold_for)
    outputs = await changes.save(tx, made)
    return outputs + await wake(tx, made)


def _judge_again(made: Changes, send: Send, case: Case, hold_for: timedelta) -> None:
    verdict = judge(case, send.cover)
    if send.retry_at is not None and send.retry_at <= made.now:
        made.decide(send, verdict, Cause("retry", origin_in(send)), hold_for)
    elif send.recheck_at is not None:
        cause = Cause("claim", origin_in(send))
        if isinstance(verdict, Dispatch):
            made.dispatch_again(send, cause)
        else:
            made.decide(send, verdict, cause, hold_for)
