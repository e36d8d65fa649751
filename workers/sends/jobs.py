"""Timed jobs of sends: holds expire, attempts run out of time, sends are judged again, parked receipts are applied or
given up.
"""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

from workers.process.metrics.of_workers import DEAD
from workers.records import Event, Output
from workers.rules.sends import Case, Dispatch, judge
from workers.rules.workspace import Policies
from workers.runtime import dead_letter_log
from workers.runtime.outbox_rows import dead_letter
from workers.sends import accounts, context, transitions
from workers.sends.early_receipts import Overlooked, give_up, wake
from workers.sends.events import SendCause, origin_without_input
from workers.sends.hold_answer_steps import CHUNK
from workers.sends.transitions import SendTransitions
from workers.services.job_runner import Job, Unfinished
from workers.store import sends, workspaces
from workers.store.connection import Connection
from workers.store.holds import STEP_BYTES
from workers.store.sends import Send

EXPIRED_AT_ONCE: Final = 500
RETRIES_AT_ONCE: Final = 500
RUN_OUT_AT_ONCE: Final = 500

DEAD.labels("outbound", "messages.receipts")  # registers the counter also in a process that runs only the jobs


async def expire(tx: Connection, now: datetime) -> list[Output]:
    """Expires up to 500 holds that nobody answered in time (contract 4.4). Call again at once while it returns
    something.
    """
    expired = await sends.lock_expired(tx, now, EXPIRED_AT_ONCE)
    outputs: list[Output] = []
    for start in range(0, len(expired), CHUNK):
        made = SendTransitions(now)
        for _, send in sorted((await sends.read(tx, expired[start : start + CHUNK])).items()):
            made.end(send, "expired", "expiry", SendCause("expiry", origin_without_input(send)))
        outputs += await transitions.save(tx, made)
    return outputs


async def run_out(tx: Connection, now: datetime) -> list[Output]:
    """Ends the attempts of up to 500 sends that nobody claimed in time, or that have no receipt (contract 10). Call
    again at once while it returns something.
    """
    due = await sends.lock_run_out(tx, now, RUN_OUT_AT_ONCE)
    outputs: list[Output] = []
    for start in range(0, len(due), CHUNK):
        made = SendTransitions(now)
        locked = await sends.read(tx, due[start : start + CHUNK])
        for _, account in sorted((await accounts.of_locked(tx, locked)).items()):
            accounts.run_out_of_time(account, SendCause("time", origin_without_input(account.send)), made)
        outputs += await transitions.save(tx, made)
    return outputs


async def repeat(tx: Connection, now: datetime) -> list[Output]:
    """Judges sends again whose pause before another attempt is over, or whose claim was denied: up to 500 of each kind,
    with 8 MiB of content. Call again at once while it returns something.
    """
    seen = await sends.read(tx, await sends.due(tx, now, RETRIES_AT_ONCE, STEP_BYTES))
    if not seen:
        return []
    tenants = await workspaces.share(tx, {(s.workspace_id, s.channel_id, s.channel) for s in seen.values()})
    judged = await context.load(tx, {key: context.subject_of(send) for key, send in seen.items()})
    made = SendTransitions(now)
    for key, send in sorted((await sends.lock(tx, seen.keys())).items()):
        # A send that moved to another contact since it was read is still due: the next round takes it.
        if send.contact_id == seen[key].contact_id:
            _judge_again(made, send, judged[key], tenants[send.workspace_id].policies)
    outputs = await transitions.save(tx, made)
    return outputs + await wake(tx, made)


def _judge_again(made: SendTransitions, send: Send, case: Case, policies: Policies) -> None:
    verdict = judge(case, send.cover)
    if send.retry_at is not None and send.retry_at <= made.now:
        made.decide(send, verdict, "retry", SendCause("retry", origin_without_input(send)), policies)
    elif send.recheck_at is not None:
        cause = SendCause("claim", origin_without_input(send))
        if isinstance(verdict, Dispatch):
            made.dispatch_again(send, cause, policies)
        else:
            made.decide(send, verdict, "denied claim", cause, policies)


SendStep = Callable[[Connection, datetime], Awaitable[list[Output]]]


def _job(name: str, every_seconds: float, step: SendStep) -> Job:
    async def run(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
        events = [output.event for output in await step(tx, now)]
        return Unfinished(events) if events else events

    return Job(name, every_seconds, run)


async def _give_up(tx: Connection, now: datetime) -> Sequence[Event] | Unfinished:
    letters = await give_up(tx, now)
    dead_letter_log.log_dead_letters("outbound", letters)
    return Unfinished([dead_letter(letter, now) for letter in letters]) if letters else ()


JOBS: Final = (
    _job("expire holds", 5, expire),
    _job("end attempts", 5, run_out),
    _job("repeat sends", 1, repeat),
    Job("apply parked receipts", 5, Overlooked().run),
    Job("give up parked receipts", 60, _give_up),
)
