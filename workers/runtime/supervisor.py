"""Runs workers and jobs in one process. Whichever ends first ends them all; how it ended is how the process ends."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from schemas.topics import TOPICS
from workers.errors import ApplyFailed, ExitCode, SettingsError, SluiceError
from workers.runtime import startup
from workers.runtime.batch import WorkerSpec
from workers.runtime.dirty import DirtyTopic, Publisher
from workers.runtime.jobs import Job, JobRunner
from workers.runtime.line import AcceptedBad
from workers.runtime.ports import Probe, no_probe
from workers.runtime.producer import KafkaOutput
from workers.runtime.services import Service
from workers.runtime.signals import Asked, remembered
from workers.runtime.tails import Tail, TailReader
from workers.runtime.tasks import abandoned, ended
from workers.runtime.telemetry import configure_logging, serve_metrics
from workers.runtime.worker import Wiring, Worker, tune_garbage_collection
from workers.settings import Settings

T = TypeVar("T")
STOP_S: Final = 24.0
"""For what is in flight. With closing, twice `_CLOSE_S`, less than the half minute that a process is usually given."""
_CLOSE_S: Final = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Plan:
    """What one process runs. `topics` must exist at start; `compacted` come with the ordinary outbox's publisher, and
    `tails` look after what was published there. `accepted_bad`: these bad records do not stop the line.
    """

    specs: Sequence[WorkerSpec] = ()
    jobs: Sequence[Job] = ()
    compacted: Sequence[DirtyTopic] = ()
    tails: Sequence[Tail] = ()
    publishes: bool = True
    topics: Sequence[str] = tuple(TOPICS)
    accepted_bad: AcceptedBad = field(default_factory=dict)

    @property
    def connections(self) -> int:
        """How many connections to the database it takes: each lane keeps one, everything else shares at least one."""
        shares = bool(self.jobs or self.tails or self.publishes)
        return sum(spec.lanes for spec in self.specs) + shares


def main(
    settings: Settings, plan: Plan, ready: Callable[[], None] = lambda: None, *, probe: Probe = no_probe
) -> ExitCode:
    """A whole process: logs and garbage collection set up, the plan run to its end."""
    configure_logging(settings.log_format, settings.log_level)
    tune_garbage_collection()
    with remembered() as asked:
        return asyncio.run(_until_asked(settings, plan, asked, ready, probe))


async def _until_asked(
    settings: Settings, plan: Plan, asked: Asked, ready: Callable[[], None], probe: Probe
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
    """Runs the plan until `stopping` is set or any part ends; `ready` is called once all are at work.

    Never raises: what went wrong is logged, in one line where an operator can mend it.
    """
    try:
        async with AsyncExitStack() as stack:
            starting = asyncio.create_task(stack.enter_async_context(_services(settings, plan, probe)), name="start")
            services = await _unless_stopped(starting, stopping)
            if services is None:
                return ExitCode.CLEAN
            if settings.metrics_port is not None:
                serve_metrics(settings.metrics_host, settings.metrics_port)
            return await supervise(services, stopping, ready)
    except Exception as error:  # noqa: BLE001 - the one place that must survive everything, to say how it ended
        return _told("start", error)


async def _unless_stopped(starting: asyncio.Task[T], stopping: asyncio.Event) -> T | None:
    """What was started; None if somebody asked to stop while a server was still waited for."""
    asked = asyncio.create_task(stopping.wait(), name="stop")
    try:
        await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
        return await starting if starting.done() else None
    finally:
        await ended(asked, starting)


@asynccontextmanager
async def _services(settings: Settings, plan: Plan, probe: Probe) -> AsyncIterator[list[Service]]:
    patience = settings.unreachable_after_s
    if settings.database_connections < plan.connections:
        raise SettingsError(
            f"SLUICE_DATABASE_CONNECTIONS is {settings.database_connections}, but this process needs at least "
            f"{plan.connections}: raise it, or run fewer workers in one process"
        )
    names = "+".join(spec.name for spec in plan.specs) or "jobs"
    pool = await startup.database(settings.required_database_url(), names, settings.database_connections, patience)
    try:
        cluster = settings.kafka()
        wiring = Wiring(
            pool,
            cluster,
            settings.group_prefix,
            settings.limits(),
            patience,
            probe=probe,
            accepted_bad=plan.accepted_bad,
        )
        workers = [Worker(spec, wiring) for spec in plan.specs]
        await startup.groups(pool, [(worker.group, sorted(worker.spec.decoders)) for worker in workers])
        await startup.topics(cluster, plan.topics, patience)
        services: list[Service] = [*workers, *(JobRunner(job, pool, patience) for job in plan.jobs)]
        services += [TailReader(tail, pool, cluster, patience) for tail in plan.tails]
        if plan.publishes:
            output = KafkaOutput(cluster, "publisher", unreachable_after_s=patience)
            services.append(Publisher(pool, output, plan.compacted, patience))
        yield services
    finally:
        with suppress(TimeoutError):  # a server that does not answer: the pool has cut its connections off by then
            await asyncio.wait_for(pool.close(), _CLOSE_S)


async def supervise(
    services: Sequence[Service], stopping: asyncio.Event, ready: Callable[[], None] = lambda: None
) -> ExitCode:
    """Runs services until `stopping` is set or one of them ends; then stops the others, within a bound."""
    running = {asyncio.create_task(service.run(), name=service.name): service for service in services}
    announcing = asyncio.create_task(_announce(services, ready), name="announce")
    asked = asyncio.create_task(stopping.wait(), name="stop")
    try:
        done, _ = await asyncio.wait({*running, asked}, return_when=asyncio.FIRST_COMPLETED)
        first = [task for task in running if task in done]
        for service in running.values():
            service.stop()
        unfinished = {task for task in running if not task.done()}
        if unfinished:
            await asyncio.wait(unfinished, timeout=STOP_S)
        codes = [_ending(task) for task in (*first, *(task for task in running if task not in first))]
        return next((code for code in codes if code is not ExitCode.CLEAN), ExitCode.CLEAN)
    finally:
        await abandoned(announcing, asked, *running, within_s=_CLOSE_S)


async def _announce(services: Sequence[Service], ready: Callable[[], None]) -> None:
    for service in services:
        await service.consuming.wait()
    log.info("All workers are consuming.", action="ready", services=[service.name for service in services])
    ready()


def _ending(task: asyncio.Task[ExitCode]) -> ExitCode:
    if not task.done():
        log.error("It did not stop in time.", action="stop_incomplete", service=task.get_name())
        return ExitCode.FAULT
    if task.cancelled():
        log.error("Something it needs was cancelled: this is a bug.", action="fault", service=task.get_name())
        return ExitCode.FAULT
    error = task.exception()
    return task.result() if error is None else _told(task.get_name(), error)


def _told(service: str, error: BaseException) -> ExitCode:
    """Logs how it ended, and returns the code that says so."""
    if not isinstance(error, SluiceError):
        log.error("A fault: this is a bug.", action="fault", service=service, exc_info=error)
        return ExitCode.FAULT
    # What an operator can mend is one line; a cause is shown only where it is needed to find a bug.
    cause = error.__cause__ if isinstance(error, ApplyFailed) else None
    log.error(str(error), action=type(error).__name__.lower(), service=service, exc_info=cause)
    return error.exit_code
