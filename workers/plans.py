"""Which worker is what: names on the command line to records, jobs and compacted topics."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from workers.billing.cycles import TURN_CYCLES
from workers.billing.published import COUNTS, COUNTS_TAIL
from workers.commands.worker import SPEC as COMMANDS
from workers.inbound.worker import SPEC as INBOUND
from workers.outbound.jobs import JOBS as SEND_JOBS
from workers.outbound.worker import SPEC as OUTBOUND
from workers.runtime.supervisor import Plan
from workers.upkeep.generations import JOBS as GENERATION_JOBS
from workers.upkeep.letters import JOBS as LETTER_JOBS
from workers.upkeep.messages import JOBS as MESSAGE_JOBS
from workers.upkeep.published import CONTACTS, CONTACTS_TAIL
from workers.workflows.worker import SPEC as WORKFLOWS

WORKERS: Final[Mapping[str, Plan]] = MappingProxyType(
    {
        "inbound": Plan(specs=(INBOUND,), publishes=False),
        "outbound": Plan(specs=(OUTBOUND,), publishes=False),
        "commands": Plan(specs=(COMMANDS,), publishes=False),
        "workflows": Plan(specs=(WORKFLOWS,), publishes=False),
        "billing": Plan(jobs=(TURN_CYCLES,), compacted=(COUNTS,), tails=(COUNTS_TAIL,)),
        "upkeep": Plan(
            jobs=(*SEND_JOBS, *MESSAGE_JOBS, *GENERATION_JOBS, *LETTER_JOBS),
            compacted=(CONTACTS,),
            tails=(CONTACTS_TAIL,),
        ),
    }
)
ALL: Final = "all"


def plan_of(names: Iterable[str]) -> Plan:
    """Everything the named workers do, as one process; `all` names every one.

    Raises:
        KeyError: no worker has that name.
    """
    wanted = set(names)
    chosen = [WORKERS[name] for name in (WORKERS if ALL in wanted else sorted(wanted))]
    return Plan(
        specs=tuple(spec for plan in chosen for spec in plan.specs),
        jobs=tuple(job for plan in chosen for job in plan.jobs),
        compacted=tuple(topic for plan in chosen for topic in plan.compacted),
        tails=tuple(tail for plan in chosen for tail in plan.tails),
        publishes=any(plan.publishes for plan in chosen),
    )
