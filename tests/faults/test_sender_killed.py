"""The reference sender is killed between claim and receipt: what the provider has is not sent again."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from examples.sender.provider import Provider, serving
from tests.acceptance.scenes import become, phone, standing
from tests.acceptance.stage import Stage, Workspace, set_stage
from tests.support.brokers import Broker
from tests.support.databases import Databases, sender_of

ROOT: Final = Path(__file__).parents[2]


@asynccontextmanager
async def sender(stage: Stage, provider: Provider) -> AsyncIterator[None]:
    """A process of the sender, which is killed when the block ends."""
    told = {
        "SLUICE_DATABASE_URL": await sender_of(stage.database),
        "SLUICE_KAFKA_BOOTSTRAP": stage.broker.bootstrap,
        "SLUICE_TOPIC_PREFIX": stage.broker.topic_prefix,
        "PROVIDER_URL": provider.url,
    }
    command = (sys.executable, "-m", "examples.sender.sender")
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=os.environ | told)
    try:
        yield
    finally:
        process.kill()
        await process.wait()


async def test_what_a_killed_sender_may_have_sent_is_not_sent_again(databases: Databases, broker: Broker) -> None:
    async with databases.migrated() as url, set_stage(broker, url) as stage:
        workspace = Workspace(stage, "acme")
        silent, after = workspace.send("silent", to={"address": phone(1)}), workspace.send(to={"address": phone(2)})
        with serving(port=0) as provider:
            await workspace.play(silent)
            async with sender(stage, provider):
                await stage.until(lambda: called(provider, silent["send_id"]), "the provider was not called")
            assert (await standing(workspace, silent))[0] == "dispatched"
            await workspace.play(after)
            async with sender(stage, provider):
                await become(workspace, silent, "ambiguous")
                await become(workspace, after, "sent")
            assert provider.calls == [f"{send['send_id']}:1" for send in (silent, after)]


async def called(provider: Provider, send_id: str) -> bool:
    return f"{send_id}:1" in provider.calls
