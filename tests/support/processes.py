"""Runs a whole plan inside a test, as `sluice worker` does."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.support.brokers import PATIENCE_S, Broker
from workers.app import supervisor
from workers.app.settings import Settings, load_settings
from workers.app.supervisor import Plan
from workers.errors import ExitCode


def settings_for(database: str, broker: Broker, **others: object) -> Settings:
    """What a process of this test is told; `others` are fields that win."""
    told: dict[str, object] = {
        "database_url": database,
        "kafka_bootstrap": broker.bootstrap,
        "topic_prefix": broker.topic_prefix,
        "group_prefix": broker.group_prefix,
        "session_timeout_ms": 6_000,
        "fetch_max_wait_ms": 20,
        "unreachable_after_s": 5.0,
    }
    return load_settings(**(told | others))


@asynccontextmanager
async def at_work(database: str, broker: Broker, plan: Plan) -> AsyncIterator["asyncio.Task[ExitCode]"]:
    """A plan that is at work when the block begins, and is stopped cleanly when it ends; its topics are made."""
    await broker.create(*plan.topics)
    ready, stop = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(supervisor.run(settings_for(database, broker), plan, stop, ready=ready.set))
    begun = asyncio.create_task(ready.wait())
    try:
        await asyncio.wait({running, begun}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
        assert ready.is_set(), "the plan did not begin to work"
        yield running
    finally:
        begun.cancel()
        stop.set()
        code = await asyncio.wait_for(running, PATIENCE_S)
    assert code is ExitCode.CLEAN


def hurried(plan: Plan, every_seconds: float) -> Plan:
    """The plan with jobs and compaction repair that run more often."""
    return replace(
        plan,
        jobs=[replace(job, every_seconds=min(every_seconds, job.every_seconds)) for job in plan.jobs],
        repaired=[replace(topic, every_seconds=every_seconds) for topic in plan.repaired],
    )
