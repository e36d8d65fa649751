"""`sluice events`: a line for each event, as it happens."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from console.events.happenings import KINDS
from schemas.topics import TOPICS
from tests.cli.commands import Sluice
from tests.support.brokers import Broker
from tests.support.hostile import EVERYTHING, inert
from workers.cli.events import Wanted, lines
from workers.cli.workspace_commands import EVENT_KINDS
from workers.errors import ExitCode
from workers.process.tailing import Place, Tailed

ID: Final = "0e37df36-f698-11e6-8dd4-cb9ced3df976"


def status(workspace_id: str = "acme", **fields: Any) -> bytes:
    head: dict[str, Any] = {"workspace_id": workspace_id, "send_id": ID, "contact_id": ID, "status": "held"}
    return msgspec.json.encode({**head, "reason": None, "reasons": ["status_protected"], **fields})


def result(command: str) -> bytes:
    head: dict[str, Any] = {"workspace_id": "acme", "command_id": ID, "outcome": "done", "reason": None, "changed": {}}
    return msgspec.json.encode({"command": command, **head})


@pytest.fixture
async def sluice(broker: Broker, tmp_path: Path) -> Sluice:
    await broker.create(*TOPICS)
    return Sluice(tmp_path, KAFKA_BOOTSTRAP=broker.bootstrap)


async def test_what_happens_from_then_on_is_told_until_it_is_stopped(sluice: Sluice, broker: Broker) -> None:
    await broker.produce("sends.status", [(b"k", status(status="expired"))])
    with sluice.running("events", "--workspace", "acme", "--json") as running:
        err, out = sluice.folder / "err", sluice.folder / "out"
        await asyncio.to_thread(running.until, lambda: "Listening" in err.read_text())
        await broker.produce("sends.status", [(b"k", status("other")), (b"k", status())])
        await broker.produce("commands.results", [(b"k", result("block_contact"))])
        await asyncio.to_thread(running.until, lambda: out.read_text().count("\n") == 3)
        ended = await asyncio.to_thread(running.stop)
    assert ended.code == ExitCode.CLEAN
    events = [json.loads(line) for line in ended.out.splitlines()]
    assert sorted(one["event"] for one in events) == ["blocks", "holds", "results"]
    [hold] = [one["data"] for one in events if one["event"] == "holds"]
    assert (hold["workspace_id"], hold["send_id"], hold["status"]) == ("acme", ID, "held")


def test_a_line_says_what_happened_and_steers_nothing() -> None:
    value = status(workspace_id="acme", reasons=None, reason=EVERYTHING)
    records = [
        Tailed(Place("sends.status", 0), 1, 0, value, {}),
        Tailed(Place("dead.letters", 0), 1, 0, b"x", {"error": EVERYTHING.encode()}),
        Tailed(Place("commands.results", 0), 1, 0, b"not json", {}),
    ]
    kinds = frozenset(KINDS)
    told = list(lines(records, Wanted(None, kinds, as_json=False)))
    assert [line.split()[0] for line in told] == ["holds", "letters"]
    assert told[0].startswith(f"holds     workspace_id=acme send_id={ID} contact_id={ID} status=held reason=")
    assert all(map(inert, [*told, *lines(records, Wanted(None, kinds, as_json=True))]))
    assert len(list(lines(records, Wanted("acme", kinds, as_json=False)))) == 1
    assert list(lines(records, Wanted("acme", frozenset({"blocks"}), as_json=False))) == []


def test_the_kinds_are_those_of_the_events() -> None:
    assert EVENT_KINDS == KINDS


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        (("--kind", "jokes"), ExitCode.SETUP, "--kind: expected any of holds, results"),
        ((), ExitCode.FAULT, "Kafka does not answer at SLUICE_KAFKA_BOOTSTRAP"),
    ],
)
def test_what_is_wrong_is_a_sentence(arguments: tuple[str, ...], code: ExitCode, error: str, tmp_path: Path) -> None:
    ended = Sluice(tmp_path, KAFKA_BOOTSTRAP="127.0.0.1:1").run("events", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert error in ended.err
    assert "Traceback" not in ended.err


async def test_a_missing_topic_is_a_sentence(broker: Broker, tmp_path: Path) -> None:
    ended = await asyncio.to_thread(Sluice(tmp_path, KAFKA_BOOTSTRAP=broker.bootstrap).run, "events")
    assert (ended.code, ended.out) == (ExitCode.SETUP, "")
    assert "run `sluice topics`" in ended.err
