"""Tells DBOS: a halted run is a cancelled workflow. Needs the extra `dbos`.

The `run_id` is the workflow's id, so ids must be unique over all workspaces, as DBOS's own are. A cancelled workflow
begins no further step, and recovery leaves it out.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import msgspec
from dbos import DBOSClient, SendMessage, error
from sqlalchemy import exc

from workers.engines.control import EngineAway, Told

TOPIC: Final = "sluice"
"""The topic of the messages that a workflow receives with `DBOS.recv`: dicts with the fields of `workflows.control`."""
_AWAY: Final = (exc.OperationalError, exc.InterfaceError, exc.TimeoutError, error.DBOSQueryTimeoutError)


class DbosRuns:
    """The workflows of a DBOS application as an engine."""

    most = 500

    def __init__(self, client: DBOSClient) -> None:
        self._client = client

    async def halts(self, workspace_id: str, run_id: str, reason: str | None) -> None:  # noqa: ARG002 - the port's
        """Cancels the workflow and those that it started. Nothing happens if it has ended or does not exist."""
        await asyncio.to_thread(self._cancel, [run_id])

    async def take(self, told: Sequence[Told]) -> None:
        """Cancels the workflows of ended runs, then sends every record to its workflow."""
        await asyncio.to_thread(self._take, told)

    def _take(self, told: Sequence[Told]) -> None:
        with _answering():
            self._cancel([one.control.run_id for one in told if one.ends])
            # A workflow that waits for an answer hears of its end as well, and stops to wait.
            messages = {one.ce_id: _message(one) for one in told}.values()
            known = self._known([message.destination_id for message in messages])
            self._client.send_bulk([message for message in messages if message.destination_id in known])

    def _cancel(self, run_ids: list[str]) -> None:
        if run_ids:
            with _answering():
                self._client.cancel_workflows(run_ids, cancel_children=True)

    def _known(self, run_ids: list[str]) -> set[str]:
        """Runs of other engines are on the topic as well."""
        found = self._client.list_workflows(workflow_ids=run_ids, load_input=False, load_output=False)
        return {workflow.workflow_id for workflow in found}


def _message(told: Told) -> SendMessage:
    return SendMessage(told.control.run_id, msgspec.to_builtins(told.control), TOPIC, told.ce_id)


@contextmanager
def dbos_runs(system_database_url: str) -> Iterator[DbosRuns]:
    """The workflows of the application with this system database, which need not answer yet."""
    client = DBOSClient(system_database_url=system_database_url, lazy=True, retry_connection_errors=False)
    try:
        yield DbosRuns(client)
    finally:
        client.destroy()


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except _AWAY as failure:
        raise EngineAway(f"DBOS's database does not answer: {type(failure).__name__}") from failure
    except error.DBOSNonExistentWorkflowError as gone:
        raise EngineAway("a workflow was deleted meanwhile") from gone
