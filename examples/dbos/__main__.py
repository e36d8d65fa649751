"""Runs one campaign on DBOS, and blocks the contact in the middle: no further step runs.

Start it again with the same --run-id after a crash: DBOS goes on with the campaign, unless it was halted meanwhile.
"""

import argparse
import asyncio
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4, uuid5

import asyncpg
from dbos import DBOS, SetWorkflowID, error

from examples.dbos import campaign
from workers.app.settings import Settings, load_settings
from workers.engines.dbos import dbos_runs
from workers.engines.feeding import EngineFeed

KNOWN = "SELECT EXISTS (SELECT FROM sluice.contact_channels WHERE workspace_id = $1 AND address = $2)"
WHY = "SELECT state, reason FROM sluice.workflow_runs WHERE workspace_id = $1 AND run_id = $2"


async def main(arguments: argparse.Namespace) -> None:
    settings = load_settings()  # of Sluice: the environment, or .env
    database = system_database(settings)
    topics = campaign.Topics(settings.kafka().bootstrap, settings.topic_prefix)
    campaign.write_to(topics)
    # DBOS logs a workflow that was cancelled as an error, with a trace.
    DBOS(config={"name": "campaigns", "system_database_url": database, "log_level": "CRITICAL"})
    await asyncio.to_thread(DBOS.migrate, database)
    stop = asyncio.Event()
    with dbos_runs(database) as runs:
        group = f"{settings.group_prefix}-engine-dbos"
        feed = EngineFeed(runs, settings.kafka(), group, settings.limits(), settings.unreachable_after_s)
        feeding = asyncio.create_task(feed.run(stop))
        # Before DBOS recovers anything it must know what was halted while this process was away.
        caught_up = asyncio.create_task(feed.caught_up.wait())
        await asyncio.wait({feeding, caught_up}, return_when=asyncio.FIRST_COMPLETED)
        connection = await asyncpg.connect(settings.required_database_url())
        await contact(connection, arguments)
        ended = asyncio.create_task(asyncio.to_thread(play, arguments))
        await asyncio.wait({feeding, ended}, return_when=asyncio.FIRST_COMPLETED)
        print(await ended if ended.done() else feeding.result())
        print("Sluice says:", *await connection.fetchrow(WHY, arguments.workspace, arguments.run_id))
        await connection.close()
        stop.set()
        await feeding
    await asyncio.to_thread(DBOS.destroy)


def play(arguments: argparse.Namespace) -> str:
    """Starts the campaign, or goes on with it; how it ended."""
    DBOS.launch()
    if DBOS.get_workflow_status(arguments.run_id) is None:
        with SetWorkflowID(arguments.run_id):
            DBOS.start_workflow(
                campaign.campaign, arguments.workspace, arguments.address, arguments.steps, arguments.pause
            )
    if arguments.block_after and reached(arguments.run_id, arguments.block_after):
        command(arguments, "block_contact", uuid4(), "inbox")
    try:
        how = str(DBOS.retrieve_workflow(arguments.run_id).get_result())
    except error.DBOSAwaitedWorkflowCancelledError:
        how = "cancelled"
    steps = DBOS.list_workflow_steps(arguments.run_id)
    taken = sum(step["function_name"] == campaign.send.__qualname__ for step in steps)
    return f"The campaign was {how} after {taken} of {arguments.steps} steps."


def reached(run_id: str, number: int) -> bool:
    """Waits for a step. Whether it was taken before the campaign ended."""
    while DBOS.get_event(run_id, f"step {number}", timeout_seconds=1) is None:
        status = DBOS.get_workflow_status(run_id)
        if status is None or status.status not in {"PENDING", "ENQUEUED"}:
            return False
    return True


async def contact(connection: Any, arguments: argparse.Namespace) -> None:
    """Makes the contact, and waits until Sluice knows it: a run for an unknown contact is refused."""
    command(arguments, "create_contact", uuid5(UUID(int=0), arguments.run_id), "api")
    while not await connection.fetchval(KNOWN, arguments.workspace, arguments.address):  # noqa: ASYNC110 - SQL asks
        await asyncio.sleep(0.05)


def command(arguments: argparse.Namespace, name: str, command_id: UUID, module: str) -> None:
    """Gives a command, as a person at the inbox does."""
    value = {
        "command_id": str(command_id),
        "workspace_id": arguments.workspace,
        "command": name,
        "actor": {"id": "anna", "role": "agent", "module": module},
        "issued_at": campaign.now(),
        "identity": {"channel": campaign.CHANNEL["channel"], "address": arguments.address},
    }
    key = f"{arguments.workspace}:{campaign.CHANNEL['channel']}:{arguments.address}"
    campaign.write("contacts.commands", key, value)


def system_database(settings: Settings) -> str:
    """DBOS's own database, beside Sluice's on the same server; SLUICE_DBOS_DATABASE_URL names another one."""
    if settings.dbos_database_url is not None:
        return settings.dbos_database_url.get_secret_value()
    url = urlsplit(settings.required_database_url())
    return url._replace(path=f"{url.path}_dbos").geturl()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m examples.dbos", description=__doc__)
    parser.add_argument("--workspace", default="example")
    parser.add_argument("--address", default="+4915112345678")
    parser.add_argument("--run-id", default=str(uuid4()))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two steps")
    parser.add_argument("--block-after", type=int, default=5, help="block the contact after this step; 0: never")
    asyncio.run(main(parser.parse_args()))
