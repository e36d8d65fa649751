"""Whatever comes in, in any order and any number of times: one `ce_id` always has the same record."""

from collections.abc import Awaitable, Callable, Iterator
from random import Random
from typing import Any
from uuid import UUID

import msgspec
import pytest
from asyncpg import Pool

from tests.workers.records import WORKSPACE, at, batch, record, uuid_of
from tests.workers.stepping import steps
from workers.app import commands_worker as commands
from workers.billing import mac_topic as billing
from workers.contacts import changes_topic as upkeep
from workers.messages import worker as inbound
from workers.records import Event, Output, Record
from workers.sends import jobs
from workers.sends import worker as outbound
from workers.store.connection import Connection
from workers.workflows import worker as workflows

PHONES = ("+4915112345678", "+4915112345679")
POLLS = 30
Json = dict[str, Any]


class Story:
    """What producers write: few names and few instants, so that much is repeated, late, or said in two ways."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)  # noqa: S311 - a story, no secret
        self.written: list[tuple[str, Json]] = []

    def poll(self) -> Iterator[tuple[str, Json]]:
        """Records of several topics; about a third of them have been written before."""
        for _ in range(self.dice.randint(1, 12)):
            if self.written and self.dice.random() < 0.35:
                yield self.dice.choice(self.written)
                continue
            made = self.dice.choice(
                (self._message, self._send, self._receipt, self._command, self._command, self._event)
            )()
            self.written.append(made)
            yield made

    def _at(self) -> str:
        return at(self.dice.choice((0, 5, 10, 15, 20, 30))).isoformat()

    def _identity(self) -> Json:
        return {"channel": "whatsapp", "address": self.dice.choice(PHONES)}

    def _message(self) -> tuple[str, Json]:
        moment = self._at()
        return "messages.inbound", {
            "workspace_id": WORKSPACE,
            "channel_id": "whatsapp-main",
            "channel": "whatsapp",
            "provider_message_id": f"m{self.dice.randint(0, 20)}",
            "sender": {"address": self.dice.choice(PHONES), "name": self.dice.choice(("Ann", "Ben"))},
            "sent_at": moment,
            "received_at": moment,
            "kind": self.dice.choice(("message", "reaction", "echo")),
            "content": {"type": "text", "text": self.dice.choice(("hi", "STOP", "START"))},
        }

    def _send(self) -> tuple[str, Json]:
        name = f"s{self.dice.randint(0, 12)}"
        return "messages.outbound", {
            "send_id": str(uuid_of(name)),
            "workspace_id": WORKSPACE,
            "channel_id": "whatsapp-main",
            "channel": "whatsapp",
            "to": {"address": self.dice.choice((*PHONES, "0151"))},
            "content": {"type": "text", "text": name},
            "requested_at": self._at(),
            "requested_by": {"id": "ann", "role": "agent"},
            "source": self.dice.choice(("workflow", "workflow", "pigeon")),
            "run_id": f"r{self.dice.randint(0, 3)}",
            "step_id": str(self.dice.randint(0, 2)),
            "group_id": self.dice.choice((None, "g")),
        }

    def _receipt(self) -> tuple[str, Json]:
        return "messages.receipts", {
            "workspace_id": WORKSPACE,
            "channel_id": "whatsapp-main",
            "send_id": str(uuid_of(f"s{self.dice.randint(0, 12)}")),
            "attempt": self.dice.choice((None, 1, 2)),
            "status": self.dice.choice(("sent", "delivered", "read", "failed", "ambiguous")),
            "at": self._at(),
        }

    def _event(self) -> tuple[str, Json]:
        head = {"workspace_id": WORKSPACE, "run_id": f"r{self.dice.randint(0, 3)}", "at": self._at()}
        match self.dice.choice(("run_started", "step_requested", "step_requested", "step_requested", "run_finished")):
            case "run_started":
                more: Json = {
                    "event": "run_started",
                    "workflow_id": "w",
                    "identity": self._identity(),
                    "trigger": self.dice.choice(("automatic", "shortcut")),
                    "parent_run_id": self.dice.choice((None, None, "r0")),
                }
            case "step_requested":
                action = self.dice.choice(("add_tag", "send_message"))
                more = {"event": "step_requested", "step_id": str(self.dice.randint(0, 2)), "action": action}
            case _:
                more = {"event": "run_finished", "outcome": "done"}
        return "workflows.events", head | more

    def _command(self) -> tuple[str, Json]:
        name, fields = self.dice.choice(
            (
                ("block_contact", {"identity": self._identity()}),
                ("block_contact", {"identity": self._identity()}),
                ("unblock_contact", {"identity": self._identity()}),
                ("release_dropped", {"identity": self._identity(), "from": at(0), "to": at(60)}),
                ("attach_contact", {"identity": self._identity(), "profile_name": "Ada"}),
                ("detach_contact", {"identity": self._identity()}),
                ("define_status", {"name": "vip", "protected": self.dice.random() < 0.8}),
                ("create_profile", {"profile_id": "p", "name": "Ada"}),
                ("set_profile_status", {"profile_id": "p", "status": "vip"}),
                ("confirm_send", {"send_id": str(uuid_of(f"s{self.dice.randint(0, 12)}"))}),
                ("confirm_send", {"group_id": "g"}),
                ("reject_send", {"send_id": str(uuid_of(f"s{self.dice.randint(0, 12)}"))}),
                ("configure_workspace", {"set": {"anchor_day": self.dice.randint(1, 31)}}),
                ("configure_workspace", {"set": {"anchor_day": "first"}}),
                ("merge_contacts", {"survivor_id": str(UUID(int=1)), "loser_id": str(UUID(int=2))}),
            )
        )
        return "contacts.commands", {
            "command_id": str(uuid_of(f"command {self.dice.randint(0, 60)}")),
            "workspace_id": WORKSPACE,
            "command": name,
            "actor": {"id": self.dice.choice(("ann", "bob")), "role": "owner", "module": "api"},
            "issued_at": self._at(),
        } | fields


APPLY: dict[str, Callable[[Connection, Any], Awaitable[list[Output]]]] = {
    "messages.inbound": inbound.apply,
    "contacts.commands": commands.apply,
    "workflows.events": workflows.apply,
    "messages.outbound": outbound.apply,
    "messages.receipts": outbound.apply,
}


async def told(pool: Pool, seed: int) -> list[Event]:
    """Everything that leaves while a story is told."""
    story = Story(seed)
    facts: list[Event] = []
    for number in range(POLLS):
        now = at(40 + 30 * number)
        came: dict[str, list[Record[Any]]] = {}
        for topic, value in story.poll():
            came.setdefault(topic, []).append(record(topic, value, timestamp=at(35)))
        for topic in story.dice.sample(sorted(came), len(came)):
            async with pool.acquire() as tx, tx.transaction():
                facts += [o.event for o in await APPLY[topic](tx, batch(*came[topic], now=now))]
        facts += await at_rest(pool, number, story.dice)
    return facts


async def at_rest(pool: Pool, number: int, dice: Random) -> list[Event]:
    """What the timed jobs and the publisher say; marks are cleared now and then, so rows are published again."""
    now = at(45 + 30 * number + (100_000 if number == POLLS - 1 else 0))
    facts: list[Event] = []
    async with pool.acquire() as tx, tx.transaction():
        for outputs in (
            await jobs.repeat(tx, now),
            await jobs.expire(tx, now),
        ):
            facts += [o.event for o in outputs]
    facts += await steps(pool, 3)
    for topic in (upkeep, billing):
        async with pool.acquire() as tx, tx.transaction():
            current = await topic.load(tx, 500)
            facts += [row.event for row in current]
            if dice.random() < 0.5:
                await topic.clear(tx, current)
    return facts


@pytest.mark.parametrize("seed", range(12))
async def test_one_ce_id_never_has_other_bytes(pool: Pool, seed: int) -> None:
    known: dict[UUID, Event] = {}
    differing: list[tuple[str, Any, Any]] = []
    for fact in await told(pool, seed):
        first = known.setdefault(fact.ce_id, fact)
        if (fact.topic, fact.key, fact.value) != (first.topic, first.key, first.value):
            differing.append((fact.topic, _decoded(first), _decoded(fact)))

    assert differing == []
    assert {fact.topic for fact in known.values()} >= {"commands.results", "sends.status", "workflows.control"}


def _decoded(fact: Event) -> Any:
    return msgspec.json.decode(fact.value) if fact.value is not None else None
