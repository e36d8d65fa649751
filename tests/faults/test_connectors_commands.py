"""The commands of connectors as users run them: `sluice receive`, `send` and `simulate`, killed and asked to stop."""

import asyncio
import os
from signal import SIGKILL

import httpx
import pytest

from tests.acceptance.scenes import become
from tests.cli.commands import SLUICE
from tests.faults.connected import Connected, address_of, assert_applied_once
from tests.faults.process import WorkerProcess
from tests.support.ports import free_port
from workers.errors import ExitCode

pytestmark = [pytest.mark.kafka, pytest.mark.asyncio(loop_scope="module")]


async def run(connectors: Connected, *arguments: str) -> WorkerProcess:
    """A command at work; it is killed at the end of the test if it is still there."""
    log = connectors.file.parent / f"{arguments[0]}-{len(connectors.started)}.log"
    with log.open("wb") as out:
        told = os.environ | connectors.environment
        process = await asyncio.create_subprocess_exec(SLUICE, *arguments, env=told, stdout=out, stderr=out)
    one = WorkerProcess(process, log)
    connectors.started.append(one)
    await one.has_logged("ready")
    return one


async def test_people_and_agents_talk_while_the_commands_are_killed(connectors: Connected) -> None:
    simulator = f"http://127.0.0.1:{free_port()}"
    connectors.write(simulator)
    receive = ("receive", "--port", str(connectors.receiver_port))
    simulate = ("simulate", "--port", simulator.rpartition(":")[2])
    phones, *others = [
        await run(connectors, *simulate, "--receiver", f"http://127.0.0.1:{connectors.receiver_port}"),
        await run(connectors, *receive),
        await run(connectors, "send"),
    ]
    texts = []
    async with httpx.AsyncClient(trust_env=False, base_url=simulator) as client:
        for number in range(1, 31):
            for channel in connectors.channels:
                texts.append(f"{channel} {number}")
                said = {"from": address_of(channel, number), "text": texts[-1]}
                answer = await client.post(f"/say/{connectors.workspace.id}/{channel}", json=said)
                assert answer.status_code == 202
    for one in others:
        one.send(SIGKILL)
        await one.ended()
    others = [await run(connectors, *receive), await run(connectors, "send")]
    # A send to who has written; the simulator reports that it was read.
    sends = connectors.sends(3, "custom")
    await connectors.play(*sends)
    for send in sends:
        await become(connectors.workspace, send, "read")
    await connectors.stage.until(lambda: received(simulator, len(texts)), "the receiver did not take everything")
    assert not phones.said("webhook_lost")

    assert [await one.stop() for one in (*others, phones)] == [ExitCode.CLEAN] * 3, connectors.told()
    # `play` let these three write before.
    await assert_applied_once(connectors, texts + ["hello"] * 3)


async def received(simulator: str, count: int) -> bool:
    """Whether the receiver took so many messages of people."""
    async with httpx.AsyncClient(trust_env=False) as client:
        shown = (await client.get(f"{simulator}/phones")).json()
    messages = [message for phone in shown["phones"] for message in phone["messages"] if message["from_person"]]
    return len([message for message in messages if message["status"] == "received"]) == count
