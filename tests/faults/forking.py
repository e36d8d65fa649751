"""Many worker processes at little cost: forked from one that has loaded everything, forgotten by their group at once.

An interpreter needs a second to load what a worker needs, and a group waits a whole session for a member that was
killed. Where neither is what a test is about, it does without.
"""

import asyncio
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.group import LeaveGroupRequest

from tests.faults import process
from tests.faults.process import Fault, WorkerProcess
from tests.support.brokers import Broker
from workers.errors import ExitCode

_LOADED: Final = (
    "connectors.processes",
    "connectors.providers",
    "tests.faults.process",
    "tests.runtime.ledgerbook",
    "tests.support.processes",
    "workers.app.composition",
)


class _Forked:
    """A child of the server that forks, as if it were ours."""

    def __init__(self, forked: BaseProcess) -> None:
        self._forked = forked

    @property
    def pid(self) -> int:
        return self._forked.pid or 0

    @property
    def returncode(self) -> int | None:
        return self._forked.exitcode

    def send_signal(self, signal: int, /) -> None:
        os.kill(self.pid, signal)

    async def wait(self) -> int:
        while (code := self.returncode) is None:  # noqa: ASYNC110 - multiprocessing has nothing else to wait for
            await asyncio.sleep(0.02)
        return code


def fork(
    plan: str,
    environment: Mapping[str, str],
    log: Path,
    fault: Fault | None = None,
    main: Callable[[str], ExitCode] = process.main,
) -> WorkerProcess:
    """Does what `process.start` does. `main` is what the process runs, a function of a module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LOADED))
    told = dict(environment) | (fault.environment() if fault is not None else {})
    log.touch()
    forked = context.Process(target=_run, args=(main, plan, told, str(log)), daemon=True)
    forked.start()
    return WorkerProcess(_Forked(forked), log)


def _run(main: Callable[[str], ExitCode], plan: str, environment: Mapping[str, str], log: str) -> None:
    out = os.open(log, os.O_WRONLY)
    os.dup2(out, 1)
    os.dup2(out, 2)
    for name in [name for name in os.environ if name.startswith(("SLUICE_", "FAULT_"))]:
        del os.environ[name]
    os.environ.update(environment)
    sys.exit(main(plan))


async def expel(broker: Broker, group: str) -> None:
    """Takes every member out of a consumer group, as if it had left."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        node = await admin.find_coordinator(group)
        for answer in await admin.describe_consumer_groups([group], node):
            described: Any = answer
            members = [member[0] for group_ in described.groups for member in group_[5]]
            for member in members:
                await admin._send_request_to_node(node, LeaveGroupRequest(group, member))  # noqa: SLF001
    finally:
        await admin.close()
