"""The DBOS example: a contact is blocked in the middle of a campaign, and no further step runs."""

import uuid

import pytest

from tests.acceptance.scenes import run
from tests.acceptance.stage import Workspace
from tests.examples.campaigns import campaign

STEPS = 40


@pytest.mark.asyncio(loop_scope="session")
async def test_no_step_runs_after_the_block(workspace: Workspace) -> None:
    stage, run_id = workspace.stage, str(uuid.uuid4())
    arguments = ("--workspace", workspace.id, "--run-id", run_id, "--steps", str(STEPS), "--pause", "0.05")
    async with campaign(stage.database, stage.broker, *arguments, "--block-after", "3") as running:
        code = await running.ended()

    assert code == 0, running.lines
    taken = len(running.steps)
    assert running.steps == list(range(1, taken + 1))
    assert 3 <= taken < STEPS
    assert running.lines[-2:] == [
        f"The campaign was cancelled after {taken} of {STEPS} steps.",
        "Sluice says: halted contact_blocked",
    ]
    assert await run(workspace, run_id) == ("halted", "contact_blocked")
    assert len(await workspace.rows("sends")) == taken
