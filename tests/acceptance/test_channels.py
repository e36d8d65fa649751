"""Through everything: a person writes on a phone of the simulator, gets an answer, is blocked; for every provider."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import httpx

from connectors.providers import PROVIDERS
from tests.acceptance.stage import Stage, Workspace
from tests.connectors.test_simulator_agrees import person_of
from tests.connectors.vectors import FILES
from tests.support.browsers import page_of_a_browser
from tests.support.databases import sender_of
from workers.app.settings import load_settings
from workers.dev.connectors import Connectors, Wanted

REPORTED: Final = {
    "telegram": "sent",
    "line": "sent",
    "instagram": "sent",
    "smtp": "delivered",
    "messenger": "delivered",
    "twilio": "delivered",
}
"""The last status that the simulator reports, where it is not `read`. Instagram reports what was read by its id."""
OTHERS: Final = {"smtp": "grace@hopper.example"}
"""People whose address another provider of the same kind has as well."""
PATIENCE_S: Final = 40.0


class Phones:
    """The simulator, from outside."""

    def __init__(self, client: httpx.AsyncClient, workspace_id: str) -> None:
        self._client = client
        self.url = str(client.base_url)
        self._workspace_id = workspace_id

    async def say(self, channel_id: str, person: str, text: str) -> None:
        told = {"from": person, "text": text, "name": "Ada Byron"}
        answer = await self._client.post(f"/say/{self._workspace_id}/{channel_id}", json=told)
        assert answer.status_code == 202, answer.text

    async def shown(self, channel_id: str) -> list[Any]:
        phones = (await self._client.get("/phones")).json()["phones"]
        place = f"{self._workspace_id}/{channel_id}"
        return [message for phone in phones if phone["channel"] == place for message in phone["messages"]]


@asynccontextmanager
async def channels_at_work(
    stage: Stage, workspace_id: str, folder: Path, *names: str, **told: str
) -> AsyncIterator[Phones]:
    """Receiver, sender and simulator for a channel of each of these providers; its id is the provider's name. `told`:
    further keys of each entry.
    """
    entries = [FILES[name]["channel"] | {"workspace_id": workspace_id, "channel_id": name} | told for name in names]
    lines = [
        line for entry in entries for line in ("[[channel]]", *(f"{k} = {json.dumps(v)}" for k, v in entry.items()))
    ]
    file = folder / "channels.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    settings = load_settings(
        database_url=await sender_of(stage.database),
        kafka_bootstrap=stage.broker.bootstrap,
        topic_prefix=stage.broker.topic_prefix,
        group_prefix=f"{stage.broker.group_prefix}-{workspace_id}",
        session_timeout_ms=6_000,
        fetch_max_wait_ms=20 if stage.broker.kind == "embedded" else 250,
    )
    stop = asyncio.Event()
    wanted = Wanted(file, simulated=True, receiver_port=0, simulator_port=0)
    with Connectors(wanted) as connectors:
        connectors.begin(settings, stop)
        async with httpx.AsyncClient(base_url=connectors.lines[-1].split()[-1], timeout=30) as client:
            try:
                yield Phones(client, workspace_id)
            finally:
                stop.set()
                await connectors.ended()


async def until(reached: Callable[[], Any], what: str) -> Any:
    """Polls the views: nothing tells when they change."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := await reached()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"{what} did not come") from None


async def test_a_conversation_on_every_phone(workspace: Workspace, tmp_path: Path) -> None:
    async with channels_at_work(workspace.stage, workspace.id, tmp_path, *PROVIDERS) as phones:
        async with asyncio.TaskGroup() as together:
            for name in PROVIDERS:
                together.create_task(_conversation(workspace, phones, name), name=name)
        assert len(await workspace.rows("conversation_messages", direction="in")) == len(PROVIDERS)
        assert len(await workspace.rows("drop_ledger")) == len(PROVIDERS)


async def _conversation(workspace: Workspace, phones: Phones, name: str) -> None:
    person = OTHERS.get(name, person_of(name))
    await phones.say(name, person, "Hello there")
    arrived = partial(workspace.rows, "conversation_messages", direction="in", channel_id=name)
    [message] = await until(arrived, f"{name}: the message")
    assert "Hello there" in message["content"]["text"]

    contact_id = str(message["contact_id"])
    told = {"channel": message["channel"], "channel_id": name, "to": {"contact_id": contact_id}}
    send = workspace.send("How can we help?", **told)
    await workspace.play(send)
    status = REPORTED.get(name, "read")
    reported = partial(workspace.rows, "send_attempts", send_id=UUID(send["send_id"]), status=status)
    await until(reported, f"{name}: {status}")
    answered = [shown["text"] for shown in await phones.shown(name) if not shown["from_person"]]
    assert ["How can we help?" in text for text in answered] == [True], name

    await workspace.play(workspace.command("block_contact", contact_id=contact_id))
    await asyncio.sleep(1)  # several providers tell times in whole seconds
    await phones.say(name, person, "Are you there?")
    dropped = partial(workspace.rows, "drop_ledger", contact_id=UUID(contact_id), reason="contact_blocked")
    await until(dropped, f"{name}: the dropped message")
    refused = workspace.send("Still here", **told)
    await workspace.play(refused)
    [row] = await workspace.rows("sends", send_id=UUID(refused["send_id"]))
    assert (row["status"], row["reason"]) == ("refused", "contact_blocked"), name


async def test_a_person_writes_in_a_browser(workspace: Workspace, tmp_path: Path) -> None:
    hostile = "<img src=x onerror=document.title='hacked'> & more"
    at_work = channels_at_work(workspace.stage, workspace.id, tmp_path, "telegram")
    async with at_work as phones, page_of_a_browser() as page:
        await page.goto(phones.url)
        title = await page.title()
        await page.get_by_label("Address of the person").fill("55")
        await page.locator("#new").get_by_label("Text").fill(hostile)
        await page.locator("#new button").click()
        phone = page.locator("article")
        await phone.get_by_text(hostile, exact=False).wait_for()
        await phone.get_by_text("received").wait_for()
        [message] = await until(partial(workspace.rows, "conversation_messages"), "the message")
        assert message["content"]["text"] == hostile

        send = workspace.send(
            "Hello 55", channel="telegram", channel_id="telegram", to={"contact_id": str(message["contact_id"])}
        )
        await workspace.play(send)
        await phone.get_by_text("Hello 55").wait_for()
        await phone.get_by_placeholder("Write as this person").fill("Thank you")
        await phone.get_by_role("button").click()
        await phone.get_by_text("Thank you").wait_for()
        assert (await page.title(), await phone.count(), await phone.locator("img").count()) == (title, 1, 0)


async def test_names_and_regions_of_the_channels_file_hold(workspace: Workspace, tmp_path: Path) -> None:
    told = {"name": "Acme by SMS", "default_region": "DE"}
    async with channels_at_work(workspace.stage, workspace.id, tmp_path, "twilio", "telegram", **told) as phones:
        named = partial(workspace.rows, "channels", name="Acme by SMS", default_region="DE")
        await until(lambda: _both(named), "the names of both channels")
        await phones.say("twilio", "0151 23456789", "Hello")
        await until(partial(workspace.rows, "contact_channels", address="+4915123456789"), "the number of that region")


async def _both(named: Callable[[], Any]) -> bool:
    return len(await named()) == 2
