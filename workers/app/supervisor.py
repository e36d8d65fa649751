"""Runs workers and jobs in one process. A part that fails ends alone, see `Crew`. The process ends when it is asked to,
with its last part, or when something ends that concerns all parts. The first part that failed sets the exit code.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from typing import Any, Final, TypeVar

import structlog

from schemas.topics import TOPICS
from workers.app import startup
from workers.app.endings import ENDINGS, ending, log_end
from workers.app.memory import tune_memory
from workers.app.service_group import Hindered, Make, ServiceGroup, ServicePart, concerns_all, is_unreachable
from workers.app.settings import Settings
from workers.app.worker import Wiring, Worker
from workers.errors import ExitCode, SettingsError
from workers.kafka.brokers import Brokers
from workers.kafka.failures import AWAY
from workers.kafka.producer import KafkaOutput
from workers.process.forced_exit import ENDS_WITHIN_S, ends_within
from workers.process.health import Health
from workers.process.liveness import ServerLiveness
from workers.process.logs import configure_logging
from workers.process.loop_watch import watched
from workers.process.metrics_server import serve_health
from workers.process.signals import StopSignal, remembered
from workers.process.tasks import abandoned, ended
from workers.runtime.bad_record_limit import AcceptedBad
from workers.runtime.ports import Probe, no_probe
from workers.runtime.telemetry import from_zero
from workers.runtime.worker_spec import WorkerSpec
from workers.services.compaction_repair import CompactionRepair, RepairedTopic
from workers.services.input_ends import InputEnds
from workers.services.job_runner import Job, JobRunner
from workers.services.leased import Service
from workers.services.publisher import PUBLISHER, CompactedTopic, Publisher
from workers.store.current_schema import CurrentSchema
from workers.store.failures import ConnectionLost

T = TypeVar("T")
STOP_S: Final = 24.0
"""Time limit for what is in flight. With closing, twice `_CLOSE_S`, less than the usual half minute of a process
manager.
"""
_CLOSE_S: Final = 2.0
_GIVE_UP_S: Final = 2.0
"""The same if a server is away: what needs the server would not finish in any time."""
_LIVENESS_CONNECTIONS: Final = 1

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process runs. `names` are those of the command line. `topics` must exist at start; `compacted` are
    published together with the ordinary outbox, and `repaired` are read back. `closes`: reads how far the input
    reaches. `accepted_bad`: these bad records do not halt a worker.
    """

    specs: Sequence[WorkerSpec] = ()
    jobs: Sequence[Job] = ()
    compacted: Sequence[CompactedTopic] = ()
    repaired: Sequence[RepairedTopic] = ()
    publishes: bool = True
    closes: bool = False
    topics: Sequence[str] = tuple(TOPICS)
    accepted_bad: AcceptedBad = field(default_factory=dict)
    names: Sequence[str] = ()

    @property
    def connections(self) -> int:
        """The number of connections to the database: one for each lane, at least one shared by everything else, and one
        that only asks whether the server answers.
        """
        shares = bool(self.jobs or self.repaired or self.publishes or self.closes)
        return sum(spec.lanes for spec in self.specs) + shares + _LIVENESS_CONNECTIONS


def main(
    settings: Settings, plan: Plan, ready: Callable[[], None] = lambda: None, *, probe: Probe = no_probe
) -> ExitCode:
    """A whole process: sets up logs and memory, and runs the plan to its end."""
    configure_logging(settings.log_format, settings.log_level)
    tune_memory()
    with remembered() as asked, ends_within(ENDS_WITHIN_S):
        return asyncio.run(_until_asked(settings, plan, asked, ready, probe))


async def _until_asked(
    settings: Settings, plan: Plan, asked: StopSignal, ready: Callable[[], None], probe: Probe
) -> ExitCode:
    return await run(settings, plan, asked.event(), ready=ready, probe=probe)


async def run(
    settings: Settings,
    plan: Plan,
    stopping: asyncio.Event,
    *,
    ready: Callable[[], None] = lambda: None,
    probe: Probe = no_probe,
) -> ExitCode:
    """Runs the plan to its end: see `supervise`. Calls `ready` once all parts work.

    Never raises: failures are logged, in one line if an operator can repair them. The first line says what runs against
    which servers, the last one how it ended.
    """
    log.info(
        f"Sluice {version('sluice')} starts.",
        action="starting",
        version=version("sluice"),
        workers=list(plan.names),
        database=settings.database_place(),
        brokers=settings.kafka_bootstrap,
        groups=[f"{settings.group_prefix}-{spec.name}" for spec in plan.specs],
    )
    from_zero(
        {spec.name: spec.decoders.keys() for spec in plan.specs},
        [PUBLISHER] if plan.publishes else (),
        [job.name for job in plan.jobs],
        [topic.name for topic in plan.repaired],
    )
    health = Health(ready)
    async with watched(health):
        code = await _run(settings, plan, stopping, health, probe)
    log.info(f"Sluice has ended {ENDINGS[code]}.", action="ended", exit_code=int(code))
    return code


async def _run(settings: Settings, plan: Plan, stopping: asyncio.Event, health: Health, probe: Probe) -> ExitCode:
    try:
        serve_health(health, settings.metrics_host, settings.metrics_port)
        async with AsyncExitStack() as stack:
            starting = asyncio.create_task(
                stack.enter_async_context(_services(settings, plan, health, probe)), name="start"
            )
            services = await _unless_stopped(starting, stopping)
            if services is None:
                return ExitCode.CLEAN
            return await supervise(*services, stopping, health)
    except Exception as error:  # noqa: BLE001 - the one place that must survive everything, to say how it ended
        return log_end("start", error)


async def _unless_stopped(starting: asyncio.Task[T], stopping: asyncio.Event) -> T | None:
    """What was started; None if a stop was requested while it still waited for a server."""
    asked = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        return await starting if starting.done() else None
    finally:
        await ended(asked, starting)


@asynccontextmanager
async def _services(
    settings: Settings, plan: Plan, health: Health, probe: Probe
) -> AsyncIterator[tuple[Sequence[Service], Sequence[Make]]]:
    unreachable_after_s = settings.unreachable_after_s
    if settings.database_connections < plan.connections:
        raise SettingsError(
            f"SLUICE_DATABASE_CONNECTIONS is {settings.database_connections}, but this process needs at least "
            f"{plan.connections}: raise it, or run fewer workers in one process"
        )
    names = "+".join(spec.name for spec in plan.specs) or "jobs"
    url = settings.required_database_url()
    pool = await startup.database(
        url, names, settings.database_connections - _LIVENESS_CONNECTIONS, unreachable_after_s
    )
    try:
        await startup.accounts(pool, settings, plan.names)
        await startup.hash_keys(pool, settings.hash_keys(), unreachable_after_s)
        cluster = settings.kafka()
        wiring = Wiring(
            pool,
            cluster,
            settings.group_prefix,
            settings.limits(),
            unreachable_after_s,
            probe=probe,
            accepted_bad=plan.accepted_bad,
        )
        groups = [(wiring.group_of(spec), sorted(spec.decoders)) for spec in plan.specs]
        await startup.groups(pool, groups, unreachable_after_s)
        await startup.check_rights(cluster, settings, plan.specs, plan.repaired)
        await startup.check_topics(cluster, plan.topics, unreachable_after_s)
        await startup.accepted(cluster, plan.accepted_bad)
        server = CurrentSchema(url)
        liveness = [
            ServerLiveness(startup.POSTGRESQL, server, (ConnectionLost,), unreachable_after_s),
            ServerLiveness(startup.KAFKA, Brokers(cluster), AWAY, unreachable_after_s),
        ]
        health.require(server.obstacles)
        yield liveness, _parts(plan, wiring)
    finally:
        with suppress(TimeoutError):  # for a server that does not answer: by then the pool has closed its connections
            await asyncio.wait_for(pool.close(), _CLOSE_S)


def _parts(plan: Plan, wiring: Wiring) -> list[Make]:
    pool, cluster, unreachable_after_s = wiring.pool, wiring.kafka, wiring.unreachable_after_s
    parts: list[Make] = [partial(Worker, spec, wiring) for spec in plan.specs]
    parts += [partial(JobRunner, job, pool, unreachable_after_s) for job in plan.jobs]
    parts += [partial(CompactionRepair, topic, pool, cluster, unreachable_after_s) for topic in plan.repaired]
    parts += [partial(InputEnds, pool, cluster, unreachable_after_s)] if plan.closes else []

    def publisher() -> Service:
        output = KafkaOutput(cluster, PUBLISHER, unreachable_after_s=unreachable_after_s)
        return Publisher(pool, output, plan.compacted, unreachable_after_s)

    return [*parts, publisher] if plan.publishes else parts


async def supervise(
    liveness: Sequence[Service],
    parts: Sequence[Make],
    stopping: asyncio.Event,
    health: Health | None = None,
) -> ExitCode:
    """Runs everything until `stopping` is set, one of `liveness` ends, no part is at work any more, or one ended for
    a reason that concerns them all; then stops what still runs, within a bound.
    """
    checking = {asyncio.create_task(check.run(), name=check.name): check for check in liveness}
    services = ServiceGroup(parts)
    health = health or Health()
    health.require(services.obstacles, *(check.obstacles for check in liveness if isinstance(check, Hindered)))
    announcing = asyncio.create_task(_announce(liveness, services, health), name="announce")
    asked = asyncio.create_task(stopping.wait(), name="stop")
    try:
        first = await _until_over(checking, services, asked)
        if asked.done():
            log.info("Asked to stop: what is in flight is finished.", action="stopping")
        health.leave()
        away = any(is_unreachable(task) for task in first)
        services.stop()
        for check in liveness:
            check.stop()
        rest = [task for task in (*checking, *services.running) if task not in first]
        if unfinished := [task for task in rest if not task.done()]:
            await asyncio.wait(unfinished, timeout=_GIVE_UP_S if away else STOP_S)
        if away:  # what else a server that is away keeps from ending is nothing new
            first, rest = first[:1], [task for task in rest if task.done() and not is_unreachable(task)]
        codes = [*services.away(), *(ending(task) for task in (*first, *rest))]
        return next((code for code in codes if code is not ExitCode.CLEAN), ExitCode.CLEAN)
    finally:
        await abandoned(announcing, asked, *checking, *services.tasks(), within_s=_CLOSE_S)


async def _until_over(
    checking: Mapping[asyncio.Task[ExitCode], Service], services: ServiceGroup, asked: asyncio.Task[Any]
) -> list[asyncio.Task[ExitCode]]:
    """Waits until the process is to end; returns what ended it and was not told yet."""
    while services.running:
        everything = {asked, *checking, *services.running, *services.pauses}
        done, _ = await asyncio.wait(everything, return_when=asyncio.FIRST_COMPLETED)
        if asked in done:
            return [task for task in (*checking, *services.running) if task in done]
        for pause in [task for task in services.pauses if task in done]:
            services.begin_again(pause)
        over = [task for task in (*checking, *services.running) if task in done]
        if fatal := [task for task in over if task in checking or concerns_all(task)]:
            return [*fatal, *(task for task in over if task not in fatal)]
        for task in over:
            services.ended(task, ending(task))
    return []


async def _announce(liveness: Sequence[Service], services: ServiceGroup, health: Health) -> None:
    everybody: list[Service | ServicePart] = [*liveness, *services.parts]
    for one in everybody:
        await one.consuming.wait()
    log.info("All workers are consuming.", action="ready", services=[one.name for one in everybody])
    health()
