"""Server-sent events: who gets which, from where they go on, and what ends them."""

import asyncio
import json
import socket
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from console.events import streams
from console.events.recent import id_of
from console.visitor import SESSION_COOKIE
from schemas.outputs import ENCODER, CommandResult
from tests.acceptance.making import WHATSAPP
from tests.acceptance.scenes import hold
from tests.acceptance.stage import Workspace
from tests.console.listening import Listening, listening
from tests.console.running import Member, RunningConsole, Team, beside
from workers.process.tailing import Place


def stream(member: Member, after: str = "") -> AbstractAsyncContextManager[Listening]:
    return listening(member.pages, member.at("events"), after)


async def test_a_hold_is_told_without_its_text(team: Team) -> None:
    async with stream(team.agent) as told:
        send = await hold(team.workspace, content={"type": "text", "text": "an offer"})
        event = await told.next("holds")

    assert told.status == 200
    assert (event.data["send_id"], event.data["status"]) == (send["send_id"], "held")
    assert event.data["reasons"] == ["status_protected"]
    assert "an offer" not in json.dumps(event.data)


async def test_each_kind_is_told(team: Team) -> None:
    block = team.workspace.command("block_contact", identity=WHATSAPP)
    hello = team.workspace.message("something private")
    async with stream(team.operator) as told:
        await team.workspace.play(hello)
        message = await told.next("messages")
        cycle = await told.next("cycles")
        await team.workspace.play(block)
        result, blocked = await told.next("results"), await told.next("blocks")
        await team.workspace.stage.publish("messages.inbound", (b"x", b"no record"))
        letter = await told.next("letters")

    assert (message.data["to"], message.data["direction"]) == ("accepted", "in")
    assert cycle.data["active_contacts"] == 1
    assert (result.data["command_id"], result.data["outcome"]) == (block["command_id"], "done")
    assert blocked.data["command_id"] == block["command_id"]
    assert set(letter.data) == {"error"}
    assert "something private" not in json.dumps([message, cycle, result, blocked, letter])


async def test_others_get_neither_events_of_a_workspace_nor_dead_letters(team: Team) -> None:
    assert team.outsider.workspace != team.workspace.id
    others = Workspace(team.workspace.stage, team.outsider.workspace)
    async with stream(team.outsider) as outside, stream(team.agent) as inside:
        await team.workspace.stage.publish("messages.inbound", (b"x", b"no record"))
        await hold(team.workspace)
        await inside.next("holds")
        mine = others.command("configure_workspace", set={})
        await others.play(mine)
        first = await outside.next()
    hidden = await team.outsider.pages.get(team.agent.at("events"))
    stranger = await (await team.console.client()).get(team.agent.at("events"))

    assert (first.kind, first.data["command_id"]) == ("results", mine["command_id"])
    assert hidden.status_code == 404
    assert (stranger.status_code, stranger.headers["location"][:6]) == (303, "/login")


async def test_a_stream_goes_on_in_another_process(team: Team, console: RunningConsole) -> None:
    async with stream(team.agent) as before:
        first = await hold(team.workspace)
        await before.next("holds")
        await before.named()
    second = team.workspace.send()
    await team.workspace.play(second)
    await team.workspace.stage.published()

    async with beside(console) as other:
        client = await other.client(cookies={SESSION_COOKIE: team.agent.session})
        async with listening(client, team.agent.at("events"), before.id) as after:
            missed = await after.next("holds", "reset")
            third = team.workspace.send()
            await team.workspace.play(third)
            new = await after.next("holds", "reset")

    sends = [first["send_id"], second["send_id"], third["send_id"]]
    assert [sends[0], missed.data.get("send_id"), new.data.get("send_id")] == sends


async def test_a_page_tells_the_script_from_where_to_listen(team: Team) -> None:
    page = await team.agent.get("confirm")
    after = page.text.split('data-after="')[1].split('"')[0]
    send = await hold(team.workspace)

    async with listening(team.agent.pages, f"{team.agent.at('events')}?after={after}") as told:
        event = await told.next("holds", "reset")

    assert event.data["send_id"] == send["send_id"]


AHEAD = id_of({Place("sends.status", 0): 10**9})


@pytest.mark.parametrize("after", ["nonsense", "kw", "A" * 40_000, AHEAD])
async def test_who_cannot_go_on_is_told_to_look_again(team: Team, after: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BEHIND_S", 0.1)
    async with stream(team.agent, after) as told:
        event = await told.next()

    assert event.kind == "reset"
    assert told.status == 200


async def test_a_person_has_so_many_streams_and_no_more(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_OF_A_PERSON", 2)
    async with stream(team.agent) as first:
        async with stream(team.agent) as second:
            refused = await team.agent.get("events")
            async with stream(team.manager) as another:
                statuses = first.status, second.status, another.status
        await _admitted(team)

    assert statuses == (200, 200, 200)
    assert (refused.status_code, refused.headers["retry-after"]) == (429, "30")


async def _admitted(team: Team) -> None:
    """Returns once the agent may open a stream."""
    status = 0
    async with asyncio.timeout(10):
        while status != 200:
            async with stream(team.agent) as told:
                status = told.status


async def test_a_process_has_so_many_streams_and_no_more(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_STREAMS", 1)
    async with stream(team.agent) as first, stream(team.manager) as second:
        assert (first.status, second.status) == (200, 503)


async def test_a_quiet_stream_keeps_alive_and_keeps_its_place(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_S", 0.1)
    async with stream(team.agent) as told:
        assert await told.named()
        assert await told.named() == told.id


async def test_who_asks_for_the_head_of_a_stream_holds_no_stream(team: Team) -> None:
    events = f"/workspaces/{team.workspace.id}/events"
    async with asyncio.timeout(10):
        answers = [await team.owner.api.head(events), await team.owner.api.get("/workspaces")]

    assert [told.status_code for told in answers] == [200, 200]


async def test_a_stream_ends_with_its_session(team: Team) -> None:
    async with stream(team.agent) as told, stream(team.manager) as another:
        await team.console.access.end(team.agent.session)
        await told.end()
        await hold(team.workspace)
        assert (await another.next("holds")).data["status"] == "held"


async def test_a_stream_ends_when_its_workspace_is_taken_away(team: Team) -> None:
    async with stream(team.agent) as told:
        await team.console.access.keep_user(replace(team.agent.person, workspaces=["elsewhere"]))
        await told.end()


async def test_a_process_that_stops_waits_for_no_stream(team: Team, console: RunningConsole) -> None:
    async with beside(console) as other:
        client = await other.client(cookies={SESSION_COOKIE: team.agent.session})
        listener = listening(client, team.agent.at("events"))
        told = await listener.__aenter__()
        began = time.monotonic()
    took = time.monotonic() - began
    assert told.status == 200
    assert took < 10


async def test_who_reads_too_slowly_is_cut_off_and_nobody_else(team: Team, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST_OF_A_PERSON", 1)
    host, port = team.console.url.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    raw.settimeout(0)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(raw, (host, int(port)))
    head = f"GET {team.agent.at('events')} HTTP/1.1\r\nhost: x\r\ncookie: {SESSION_COOKIE}={team.agent.session}\r\n\r\n"
    await loop.sock_sendall(raw, head.encode())
    ids = [uuid4() for _ in range(2_000)]  # more than both sides of a connection hold

    async with stream(team.manager) as fast:
        assert (await team.agent.get("events")).status_code == 429
        for start in range(0, len(ids), 200):
            results = [(b"x", result_of(team.workspace.id, id_)) for id_ in ids[start : start + 200]]
            await team.workspace.stage.publish("commands.results", *results)
            await _until(fast, str(ids[start + 199]))
        await _admitted(team)
    raw.close()


def result_of(workspace_id: str, command_id: UUID) -> bytes:
    """A record of `commands.results`, a large one."""
    told = CommandResult(
        workspace_id=workspace_id,
        command_id=command_id,
        command="comment",
        outcome="refused",
        reason="x" * 3_000,
        detail=None,
        changed={},
    )
    return ENCODER.encode(told)


async def _until(told: Listening, command_id: str) -> None:
    while (await told.next("results", "reset")).data.get("command_id") != command_id:
        pass
