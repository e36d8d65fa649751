"""Plays the files of tests/cases. Their README describes the format of records and expectations."""

import json
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4

from tests.acceptance.reading import Published
from tests.acceptance.stage import Json, Workspace
from tests.support.brokers import Sent

FOLDER: Final = Path(__file__).parents[1] / "cases"


def case_names() -> list[str]:
    """The names of all cases."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def load_case(name: str, workspace_id: str = "{ws}") -> Json:
    """A case, told of one workspace."""
    text = (FOLDER / f"{name}.json").read_text(encoding="utf-8").replace("{ws}", workspace_id)
    case: Json = json.loads(text)
    return case


def needs_kafka(name: str) -> bool:
    """Whether the embedded broker cannot play the case: it has no transactions."""
    return "needs" in load_case(name)


class CasePlayer:
    """Produces the records of one case, in order."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._stage = workspace.stage
        self._transactional: Any = None

    async def play(self, records: list[Json]) -> None:
        """Produces everything; the end of the records is a wait as well."""
        async with AsyncExitStack() as stack:
            if any("transaction" in record for record in records):
                id_ = f"{self._stage.broker.topic_prefix}{uuid4().hex}"
                producer = self._stage.broker.producer(transactional_id=id_)
                self._transactional = await stack.enter_async_context(producer)
            for record in records:
                await self._step(record)
            await self._stage.applied()
        if self._transactional is not None:
            # The marker that ends a transaction counts as a record: no backlog of one stays.
            topics = {record["topic"] for record in records if "topic" in record}
            await self._stage.broker.caught_up(self._stage.pool, *sorted(topics))

    async def _step(self, step: Json) -> None:
        match step:
            case {"settle": True}:
                await self._stage.applied()
            case {"transaction": "begin"}:
                await self._transactional.begin_transaction()
            case {"transaction": "commit"}:
                await self._transactional.commit_transaction()
            case {"transaction": "abort"}:
                await self._transactional.abort_transaction()
            case {"topic": _}:
                for _ in range(step.get("times", 1)):
                    await self._produce(step)

    async def _produce(self, record: Json) -> None:
        value = record["raw"].encode() if "raw" in record else json.dumps(record["value"]).encode()
        headers = [(name, text.encode()) for name, text in record.get("headers", {}).items()]
        producer = self._transactional if record.get("in_transaction") else self._stage.producer
        name = self._stage.broker.topic_prefix + record["topic"]
        done = await producer.send_and_wait(
            name, value, record["key"].encode(), headers=headers, timestamp_ms=record.get("timestamp_ms")
        )
        self._stage.remember(record["topic"], Sent(done.partition, done.offset))


async def found(workspace: Workspace, expected: Json) -> list[list[Any]]:
    """The rows that an expectation asks for, in the words of the file."""
    if "sql" in expected:
        rows = await workspace.stage.pool.fetch(expected["sql"], *expected["args"])
        return [[_plain(value) for value in row] for row in rows]
    everything = await workspace.stage.everything()
    ours = [out for out in everything if out.topic == expected["topic"] and _belongs(out, workspace.id)]
    picked = [[_pick(out, path) for path in expected["pick"]] for out in ours if _fits(out, expected["where"])]
    if expected.get("distinct"):
        return [list(row) for row in dict.fromkeys(tuple(row) for row in picked)]
    return picked


def _belongs(out: Published, workspace_id: str) -> bool:
    # A dead letter has no workspace: it keeps the key it came with.
    return (out.key or b"").startswith(f"{workspace_id}:".encode())


def _fits(out: Published, where: Json) -> bool:
    return all(_pick(out, path) == value for path, value in where.items())


def _pick(out: Published, path: str) -> Any:
    first, *rest = path.split(".")
    value = out.head if first == "headers" else (out.value or {}).get(first)
    for name in rest:
        value = (value or {}).get(name)
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
