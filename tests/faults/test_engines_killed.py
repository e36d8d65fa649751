"""A campaign on DBOS is killed and goes on; once its contact is blocked, no kill makes it take another step."""

import json
import uuid
from typing import Final

from tests.acceptance.scenes import run
from tests.acceptance.stage import WHATSAPP, Workspace, set_stage
from tests.examples.campaigns import campaign
from tests.support.brokers import Broker
from tests.support.databases import Databases
from workers.engines.control import Control, Told
from workers.engines.dbos import dbos_runs

STEPS: Final = 200


async def test_a_killed_campaign_goes_on_and_a_halted_one_never_does(databases: Databases, broker: Broker) -> None:
    async with databases.migrated() as url, set_stage(broker, url) as stage:
        workspace, run_id = Workspace(stage, "acme"), str(uuid.uuid4())
        dbos_url = url.replace("?", "_dbos?") if "?" in url else f"{url}_dbos"
        arguments = ("--workspace", workspace.id, "--run-id", run_id, "--steps", str(STEPS), "--pause", "0.02")
        told = {"DBOS_DATABASE_URL": dbos_url}
        never = (*arguments, "--block-after", "0")

        async with campaign(url, stage.broker, *never, **told) as first:
            await first.until_step(3)
        async with campaign(url, stage.broker, *never, **told) as second:
            await second.until_step(max(first.steps) + 2)
        assert abs(second.steps[0] - max(first.steps) - 1) <= 1  # the kill came before DBOS, or this test, noted a step
        assert second.steps == list(range(second.steps[0], second.steps[-1] + 1))

        # While nobody runs it the contact is blocked. A grant had arrived before, but not what became of the run.
        taken = await requested(broker)
        assert taken >= max(second.steps)
        await workspace.play(workspace.command("block_contact", identity=WHATSAPP | {"address": "+4915112345678"}))
        assert await run(workspace, run_id) == ("halted", "contact_blocked")
        with dbos_runs(dbos_url) as runs:
            for step in range(taken, taken + 3):
                granted = Control(workspace_id="acme", run_id=run_id, control="step_granted", step_id=str(step))
                await runs.take([Told(granted, f"early-{step}", b"")])

        async with campaign(url, stage.broker, *never, **told) as third:
            assert await third.ended() == 0, third.lines
        assert third.steps == []
        assert third.lines[-1] == "Sluice says: halted contact_blocked"
        assert "was cancelled after" in third.lines[-2]
        assert await requested(broker) == taken


async def requested(broker: Broker) -> int:
    """How many messages were requested: 1, 2, 3 and so on, none left out."""
    texts = {
        json.loads(record.value or b"")["content"]["text"] for record in await broker.read_all("messages.outbound")
    }
    assert texts == {f"Message {number}" for number in range(1, len(texts) + 1)}
    return len(texts)
