"""Composition: which worker is what. Maps names on the command line to topics, jobs and compacted topics."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from workers.app.commands_worker import SPEC as COMMANDS
from workers.app.pending_work import JOBS as STEP_JOBS
from workers.app.startup import BILLING
from workers.app.state_metrics import JOBS as STATE_JOBS
from workers.app.supervisor import Plan
from workers.billing.alerts import JOBS as ALERT_JOBS
from workers.billing.closing import JOBS as CLOSING_JOBS
from workers.billing.cycles import JOBS as CYCLE_JOBS
from workers.billing.mac_topic import COUNTS, COUNTS_REPAIR
from workers.billing.nightly import JOBS as VERIFY_JOBS
from workers.commands.forgetting import JOBS as COMMAND_JOBS
from workers.contacts.changes_topic import CONTACTS, CONTACTS_REPAIR
from workers.contacts.conversations import JOBS as SNOOZE_JOBS
from workers.contacts.erasing import JOBS as DELETION_JOBS
from workers.dead_letters.erasure import JOBS as LETTER_JOBS
from workers.messages.jobs import JOBS as MESSAGE_JOBS
from workers.messages.retention import JOBS as RETENTION_JOBS
from workers.messages.worker import SPEC as INBOUND
from workers.sends.jobs import JOBS as SEND_JOBS
from workers.sends.worker import SPEC as OUTBOUND
from workers.workflows.worker import SPEC as WORKFLOWS

WORKERS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "inbound": Plan(specs=(INBOUND,), publishes=False),
        "outbound": Plan(specs=(OUTBOUND,), publishes=False),
        "commands": Plan(specs=(COMMANDS,), publishes=False),
        "workflows": Plan(specs=(WORKFLOWS,), publishes=False),
        BILLING: Plan(
            jobs=(*CYCLE_JOBS, *CLOSING_JOBS, *ALERT_JOBS),
            compacted=(COUNTS,),
            repaired=(COUNTS_REPAIR,),
            closes=True,
        ),
        "upkeep": Plan(
            jobs=(
                *(*SEND_JOBS, *SNOOZE_JOBS, *STEP_JOBS, *MESSAGE_JOBS, *RETENTION_JOBS, *LETTER_JOBS),
                *COMMAND_JOBS,
                *(*DELETION_JOBS, *VERIFY_JOBS, *STATE_JOBS),
            ),
            compacted=(CONTACTS,),
            repaired=(CONTACTS_REPAIR,),
        ),
    }
)
ALL: Final = "all"


def plan_of(names: Iterable[str]) -> Plan:
    """Everything that the named workers run in one process; `all` names every one.

    Raises:
        KeyError: no worker has that name.
    """
    wanted = set(names)
    names = tuple(WORKERS) if ALL in wanted else tuple(sorted(wanted))
    chosen = [WORKERS[name] for name in names]
    return Plan(
        names=names,
        specs=tuple(spec for plan in chosen for spec in plan.specs),
        jobs=tuple(job for plan in chosen for job in plan.jobs),
        compacted=tuple(topic for plan in chosen for topic in plan.compacted),
        repaired=tuple(topic for plan in chosen for topic in plan.repaired),
        publishes=any(plan.publishes for plan in chosen),
        closes=any(plan.closes for plan in chosen),
    )
