"""What the parts of one process do to each other when one of them ends: nothing, but where it concerns them all."""

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest
from asyncpg import Pool
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from tests.runtime.ledgerbook import OUTPUT, TOPIC, apply, book, decode, rows
from tests.support.brokers import Broker
from tests.support.processes import settings_for
from workers.app import service_group, supervisor
from workers.app.supervisor import Plan
from workers.errors import ExitCode, PositionLost, SettingsError, SetupError, SluiceError, Unreachable
from workers.records import Batch, Output
from workers.runtime.bad_record_limit import BAD_RECORD_LIMIT
from workers.runtime.worker_spec import WorkerSpec
from workers.services.leased import Service
from workers.store.connection import Connection

OTHER = "contacts.commands"
HELD = "WHERE topic = $1 AND owner IS NOT NULL"


class Acting:
    """A service that ends as it is told, the first times; then it works until it is stopped."""

    def __init__(self, name: str, endings: list[ExitCode | SluiceError]) -> None:
        self.name = name
        self.consuming = asyncio.Event()
        self._endings = endings
        self._stopped = asyncio.Event()

    async def run(self) -> ExitCode:
        self.consuming.set()
        if not self._endings:
            await self._stopped.wait()
            return ExitCode.CLEAN
        ending = self._endings.pop(0)
        if isinstance(ending, ExitCode):
            return ending
        raise ending

    def stop(self) -> None:
        self._stopped.set()


class Process:
    """`supervise` at work on services of these names."""

    def __init__(
        self, liveness: Sequence[ExitCode | SluiceError] = (), **endings: list[ExitCode | SluiceError]
    ) -> None:
        self.stop = asyncio.Event()
        watching: list[Service] = [Acting("liveness", list(liveness))]
        self.made: list[Acting] = []
        self.ending = asyncio.create_task(
            supervisor.supervise(watching, [self._maker(name, told) for name, told in endings.items()], self.stop)
        )

    def _maker(self, name: str, endings: list[ExitCode | SluiceError]) -> service_group.Make:
        def make() -> Service:
            self.made.append(Acting(name, endings))
            return self.made[-1]

        return make

    async def ended(self) -> ExitCode:
        return await asyncio.wait_for(asyncio.shield(self.ending), 20)

    async def stopped(self) -> ExitCode:
        self.stop.set()
        return await self.ended()


async def said(logs: Sequence[MutableMapping[str, Any]], action: str, times: int = 1) -> MutableMapping[str, Any]:
    """Waits until somebody has said so."""
    async with asyncio.timeout(30):
        while len(told := [log for log in logs if log["action"] == action]) < times:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return told[-1]


def metric(name: str, service: str) -> float:
    return REGISTRY.get_sample_value(f"sluice_service_{name}", {"service": service}) or 0


@pytest.mark.parametrize(
    ("ending", "code"), [(ExitCode.STOPPED_THE_LINE, 3), (PositionLost("not the topic that we knew"), 1)]
)
async def test_what_a_person_must_decide_ends_one_worker_alone_and_is_how_the_process_ends(
    ending: ExitCode | SluiceError, code: int
) -> None:
    with capture_logs() as logs:
        process = Process(one=[ending], other=[])
        told = await said(logs, "ended_alone")
        assert (told["service"], told["exit_code"]) == ("one", code)
        assert not process.ending.done()
        assert [metric("running", name) for name in ("one", "other")] == [0, 1]
        assert await process.stopped() == code
    assert [made.name for made in process.made] == ["one", "other"]


async def test_what_may_pass_is_begun_again_later_and_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_group, "FIRST_PAUSE_S", 0.01)
    failed = metric("failures_total", "one")
    with capture_logs() as logs:
        process = Process(one=[SluiceError("a"), ExitCode.FENCED, SluiceError("c")], other=[])
        await said(logs, "begun_again", 3)
        async with asyncio.timeout(5):
            while metric("running", "one") != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert await process.stopped() is ExitCode.CLEAN
    assert [log["pause_s"] for log in logs if log["action"] == "begun_again"] == [0.01, 0.02, 0.04]
    assert metric("failures_total", "one") - failed == 3
    assert [made.name for made in process.made] == ["one", "other", "one", "one", "one"]


async def test_what_waits_to_be_begun_again_when_the_process_is_stopped_is_how_that_ends() -> None:
    with capture_logs() as logs:
        process = Process(one=[ExitCode.FENCED], other=[])
        await said(logs, "begun_again")
        assert await process.stopped() is ExitCode.FENCED


@pytest.mark.parametrize("ending", [Unreachable("gone"), SettingsError("no"), SetupError("no right")])
async def test_what_concerns_them_all_ends_the_process(ending: SluiceError) -> None:
    process = Process(one=[ending], other=[], third=[])
    assert await process.ended() is ending.exit_code


async def test_a_server_that_is_away_ends_the_process() -> None:
    assert await Process(liveness=[Unreachable("gone")], one=[], other=[]).ended() is ExitCode.FAULT


@pytest.mark.parametrize("ending", [ExitCode.STOPPED_THE_LINE, ExitCode.FENCED, SluiceError("a bug")])
async def test_the_last_one_takes_the_process_with_it(ending: ExitCode | SluiceError) -> None:
    process = Process(one=[ending])
    assert await process.ended() == (ending if isinstance(ending, ExitCode) else ExitCode.FAULT)


async def test_a_process_of_which_nobody_is_at_work_ends_with_how_the_first_one_did() -> None:
    process = Process(one=[ExitCode.STOPPED_THE_LINE], other=[ExitCode.FENCED])
    assert await process.ended() is ExitCode.STOPPED_THE_LINE


async def test_real_workers_end_alone_while_another_goes_on(database: str, pool: Pool, broker: Broker) -> None:
    """One stops the line, one has a bug that lasts for two batches; the third is none the wiser."""
    await book(pool)
    await broker.create(TOPIC, OUTPUT, OTHER, "workflows.events", "dead.letters")
    bugs = [1, 2]

    async def buggy(tx: Connection, batch: Batch[int]) -> list[Output]:
        if bugs:
            raise KeyError(bugs.pop())
        return await apply(tx, batch)

    specs = [
        WorkerSpec("strict", {TOPIC: decode}, apply),
        WorkerSpec("buggy", {OTHER: decode}, buggy),
        WorkerSpec("sound", {"workflows.events": decode}, apply),
    ]
    stop = asyncio.Event()
    await broker.produce(TOPIC, [(b"k", b"bad")] * BAD_RECORD_LIMIT, partition=0)
    await broker.produce(OTHER, [(b"k", b"5")], partition=0)
    with capture_logs() as logs:
        plan = Plan(specs, publishes=False, topics=(TOPIC, OUTPUT, OTHER))
        process = asyncio.create_task(supervisor.run(settings_for(database, broker), plan, stop))
        assert (await said(logs, "ended_alone"))["service"] == "strict"
        await said(logs, "begun_again", 2)
        await broker.produce("workflows.events", [(b"k", b"7")], partition=0)
        await broker.caught_up(pool, OTHER, "workflows.events")
        assert await rows(pool) == [5, 7]
        assert (
            await pool.fetchval(
                "SELECT count(*) FROM sluice.partition_progress WHERE topic = $1 AND owner IS NOT NULL", TOPIC
            )
            == 0
        )
        stop.set()
        assert await asyncio.wait_for(process, 30) is ExitCode.STOPPED_THE_LINE
