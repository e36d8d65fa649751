"""Who may do what: each route of the console and of the API has a line, and each person tries each of them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, cast, get_args
from uuid import UUID, uuid4

import httpx
import pytest_asyncio

from console import api, pages
from console.parts import Parts
from schemas.actors import Restriction
from tests.acceptance.scenes import hold
from tests.acceptance.stage import PHONE
from tests.console.running import Member, Team

W: Final = "/w/{workspace}/"
API: Final = "/workspaces/{workspace}/"
MEMBERS: Final = frozenset({"owner", "manager", "bound", "agent", "operator"})
MANAGERS: Final = MEMBERS - {"agent"}
UNBOUND: Final = MANAGERS - {"bound"}
OWNERS: Final = frozenset({"owner", "operator"})
OPERATORS: Final = frozenset({"operator"})
NOBODY: Final = frozenset[str]()
NO_ONE: Final = "00000000-0000-4000-8000-000000000000"
CYCLE: Final = "2026-03-01T00:00:00+00:00"


class Line(NamedTuple):
    """Who gets further than a refusal, with this form and query. `?` in a value: an id of the world."""

    who: frozenset[str]
    form: Mapping[str, str] = {}
    query: str = ""


OF_EVERYBODY: Final = {
    "GET /static/{version}/{name}",
    *("GET /", "GET /workspace", "GET /login", "POST /login", "GET /login/{link}", "POST /logout"),
}
"""The way in and out: tests/console/test_logins.py."""

PAGES: Final[dict[str, list[Line]]] = {
    f"GET {W}active": [Line(MEMBERS)],
    f"GET {W}active/export.csv": [Line(MEMBERS, query="cycle=?cycle")],
    f"POST {W}active/close": [Line(OWNERS, {"cycle_start": CYCLE, "reason": "r"})],
    f"GET {W}active/{{contact_id}}": [Line(MEMBERS)],
    f"GET {W}audit": [Line(MEMBERS)],
    f"GET {W}confirm": [Line(MEMBERS)],
    f"GET {W}confirm/{{send_id}}": [Line(MEMBERS)],
    f"POST {W}confirm/{{send_id}}": [Line(MEMBERS, {"answer": "reject"})],
    f"GET {W}contacts": [Line(MANAGERS)],
    f"GET {W}contacts/new": [Line(MANAGERS)],
    f"POST {W}contacts/new": [Line(MANAGERS, {"channel": "sms", "address": "+4915187650001"})],
    f"GET {W}contacts/delete": [Line(UNBOUND, query="contact=?contact_id")],
    f"POST {W}contacts/delete": [Line(UNBOUND, {"contact": "?contact_id", "expected_count": "7"})],
    f"GET {W}contacts/deletions": [Line(MANAGERS)],
    f"POST {W}contacts/export": [Line(UNBOUND)],
    f"GET {W}contacts/suggestions": [Line(MANAGERS)],
    f"GET {W}contacts/merge": [Line(MANAGERS, query="survivor=?contact_id")],
    f"POST {W}contacts/merge": [Line(MANAGERS, {"survivor": "?contact_id", "loser": NO_ONE})],
    f"GET {W}contacts/merges": [Line(MANAGERS)],
    f"POST {W}contacts/merges": [Line(MANAGERS, {"merge_id": NO_ONE})],
    f"GET {W}contacts/{{contact_id:uuid}}": [Line(MANAGERS)],
    f"POST {W}contacts/{{contact_id:uuid}}": [Line(MANAGERS, {"act": "add_tag", "tag": "t"})],
    f"GET {W}conversations": [Line(MEMBERS)],
    f"GET {W}conversations/{{contact_id}}": [Line(MEMBERS)],
    f"POST {W}conversations/{{contact_id}}": [Line(MEMBERS, {"do": "open"}), Line(MEMBERS, {"do": "assign"})],
    f"POST {W}conversations/{{contact_id}}/messages": [Line(MEMBERS, {"as": "comment", "text": "so"})],
    f"POST {W}conversations/{{contact_id}}/block": [Line(MEMBERS)],
    f"POST {W}conversations/{{contact_id}}/unblock": [Line(MEMBERS)],
    f"GET {W}dropped": [Line(MEMBERS)],
    f"GET {W}dropped/{{contact_id}}": [Line(MEMBERS)],
    f"POST {W}dropped/{{contact_id}}": [
        Line(MANAGERS, {"what": "range", "from": "2026-03-01T00:00:00", "to": "2026-03-02T00:00:00"})
    ],
    f"GET {W}events": [Line(MEMBERS)],
    f"GET {W}results/{{command_id}}": [Line(MEMBERS)],
    f"GET {W}profiles": [Line(MEMBERS)],
    f"GET {W}profiles/new": [Line(MEMBERS)],
    f"POST {W}profiles/new": [Line(MEMBERS, {"name": "Ada"})],
    f"GET {W}profiles/settings": [Line(MEMBERS)],
    f"POST {W}profiles/settings": [
        Line(UNBOUND, {"act": "status", "name": "new", "known": "1"}),
        Line(UNBOUND, {"act": "company", "name": "Bolt"}),
        Line(UNBOUND, {"act": "field", "scope": "contact", "name": "size", "type": "text"}),
        Line(MANAGERS, {"act": "protect_company", "company_id": "c", "sure": "1"}),
        Line(MANAGERS, {"act": "unprotect_company", "company_id": "c"}),
    ],
    f"GET {W}profile": [Line(MEMBERS, query="id=?profile_id")],
    f"POST {W}profile": [Line(MEMBERS, {"act": "add_note", "text": "so"}, query="id=?profile_id")],
    f"GET {W}profiles/{{profile_id}}": [Line(MEMBERS)],
    f"POST {W}profiles/{{profile_id}}": [
        Line(MEMBERS, {"act": "add_note", "text": "so"}),
        Line(MANAGERS, {"act": "delete", "sure": "1"}),
    ],
    "GET /operations": [Line(OPERATORS)],
    "GET /operations/dead-letters": [Line(OPERATORS)],
    "POST /operations/dead-letters": [Line(OPERATORS, {"act": "dismiss", "letter": "1"})],
    "GET /operations/dead-letters/{letter}": [Line(OPERATORS)],
}
CALLS: Final[dict[str, Line]] = {
    "GET /openapi.json": Line(NOBODY),  # the shapes of calls are no secret
    "GET /workspaces": Line(MEMBERS | {"outsider"}),
    **{
        f"GET {API}{call}": Line(MEMBERS)
        for call in (
            *("contacts", "contacts/{contact_id}", "contacts/{contact_id}/messages", "contacts/{contact_id}/channels"),
            *("profiles", "profiles/{profile_id}", "profiles/{profile_id}/moments"),
            *("holds", "sends/{send_id}", "groups/{group_id}", "runs", "drops", "merge-suggestions", "merges"),
            *("deletions", "audit", "settings", "mac", "mac/chart.svg", "mac/{cycle_start}/contacts"),
            *("mac/{cycle_start}/adjustments", "commands/{command_id}", "events"),
        )
    },
    f"GET {API}contacts/{{contact_id}}/explain": Line(MEMBERS, query="cycle=?cycle"),
    f"GET {API}may-send": Line(MEMBERS, query="contact_id=?contact_id&channel=whatsapp"),
    f"GET {API}impact": Line(MEMBERS, query="command=block_contact&contact_id=?contact_id"),
    # What a role may not do is a result of the command, as for every producer.
    f"POST {API}commands": Line(MEMBERS),
    f"POST {API}sends": Line(MEMBERS),
    "GET /status": Line(OPERATORS),
    "GET /partitions": Line(OPERATORS),
    "GET /dead-letters": Line(OPERATORS),
    "POST /dead-letters/{letter}/replay": Line(OPERATORS),
    "POST /dead-letters/{letter}/dismiss": Line(OPERATORS),
}


class World(NamedTuple):
    """People, and ids of something of everything that pages are about."""

    people: Mapping[str, Member]
    ids: Mapping[str, str]

    def address(self, path: str, query: str) -> str:
        """An address of a route, with ids that exist."""
        plain = re.sub(r":\w+(?=\})", "", path)
        return self.filled(plain.format(**self.ids) + (f"?{query}" if query else ""))

    def filled(self, text: str) -> str:
        """A text with ids in place of their names."""
        return re.sub(r"(?<=[=])\?(\w+)|^\?(\w+)$", lambda found: self.ids[found[1] or found[2]], text)


@pytest_asyncio.fixture(loop_scope="module")
async def world(team: Team) -> World:
    w = team.workspace
    sent = await hold(w, group_id="g")
    await w.play(w.command("define_company", company_id="c", name="Bolt"))
    command = w.command("comment", contact_id=str(await w.contact_id(PHONE)), text="so")
    await w.play(command)
    [cycle] = {row["cycle_start"] for row in await w.rows("mac_counts")}
    letter = await team.console.stage.pool.fetchval(
        """
        INSERT INTO sluice_core.dead_letters (source_topic, source_partition, source_offset, error, key, value)
        SELECT 'messages.inbound', 0, 100 + count(*), 'value: not JSON', 'k', 'v' FROM sluice_core.dead_letters
        RETURNING id
        """
    )
    restrictions = get_args(Restriction)
    bound = await team.console.member(f"bound-{w.id}", "manager", [w.id], restrictions)
    people = {"owner": team.owner, "manager": team.manager, "bound": bound, "agent": team.agent}
    ids = {
        "workspace": w.id,
        "contact_id": str(await w.contact_id(PHONE)),
        "send_id": sent["send_id"],
        "group_id": "g",
        "profile_id": "p-vip",
        "command_id": command["command_id"],
        "cycle_start": cycle.isoformat().replace("+00:00", "Z"),
        "cycle": cycle.isoformat().replace("+00:00", "Z"),
        "letter": str(letter),
    }
    return World(people | {"operator": team.operator, "outsider": team.outsider}, ids)


def routes_of(found: Any) -> Iterator[str]:
    for route in found:
        for method in sorted(route.methods - {"HEAD"}):
            yield f"{method} {route.path}"


def test_every_route_has_a_line() -> None:
    no_parts = cast("Parts", None)  # routes are the same whatever is behind them

    assert set(routes_of(pages.routes(no_parts))) == PAGES.keys() | OF_EVERYBODY
    calls = {re.sub(r":\w+(?=\})", "", route) for route in routes_of(api.routes(no_parts))}
    assert calls == CALLS.keys()


async def status(client: httpx.AsyncClient, method: str, address: str, **options: Any) -> tuple[int, str]:
    """The status of an answer and where it leads; a stream is not read."""
    async with client.stream(method, address, **options) as answer:
        return answer.status_code, answer.headers.get("location", "")


async def test_each_person_opens_the_pages_of_its_role_and_no_others(world: World, team: Team) -> None:
    wrong = []
    for route, lines in PAGES.items():
        method, path = route.split(" ")
        for line in lines:
            address = world.address(path, line.query)
            fields = {name: world.filled(value) for name, value in line.form.items()}
            for name, person in world.people.items():
                sent = {"data": fields | {"csrf": person.csrf}} if method == "POST" else {}
                code, to = await status(person.pages, method, address, **sent)
                is_open = code not in {401, 403, 404} and not to.startswith("/login")
                if is_open != (name in line.who) or code >= 500 or (name == "outsider" and code != 404):
                    wrong.append((route, dict(line.form), name, code))
            nobody = await team.console.client()
            code, to = await status(nobody, method, address, **({"data": fields} if method == "POST" else {}))
            if code != 303 or not to.startswith("/login"):
                wrong.append((route, dict(line.form), "nobody", code))
    assert not wrong, wrong


async def test_each_token_makes_the_calls_of_its_role_and_no_others(world: World, team: Team) -> None:
    wrong = []
    bodies = {
        f"POST {API}commands": {"command": "comment", "contact_id": world.ids["contact_id"], "text": "so"},
        f"POST {API}sends": {
            "channel_id": "whatsapp-main",
            "channel": "whatsapp",
            "to": {"contact_id": world.ids["contact_id"]},
            "content": {"type": "text", "text": "so"},
        },
    }
    nobody = await team.console.client("/api/v1")
    for call, line in CALLS.items():
        method, path = call.split(" ")
        address = world.address(path, line.query)
        sent = {"json": bodies[call]} if call in bodies else {}
        for name, person in world.people.items():
            code, _ = await status(person.api, method, address, **sent)
            is_right = code < 400 if name in line.who or not line.who else code == 404
            if not is_right:
                wrong.append((call, name, code))
        code, _ = await status(nobody, method, address, **sent)
        if code != (401 if line.who else 200):
            wrong.append((call, "nobody", code))
    assert not wrong, wrong


async def test_no_form_is_taken_without_its_token(world: World, team: Team) -> None:
    """For everybody who could send it; also with the token of another person, and one that is no ASCII."""
    taken = []
    for route, lines in PAGES.items():
        method, path = route.split(" ")
        if method != "POST":
            continue
        for line in lines:
            fields = {name: world.filled(value) for name, value in line.form.items()}
            for csrf in ({}, {"csrf": ""}, {"csrf": team.outsider.csrf}, {"csrf": "ü" * 64}):
                address = world.address(path, line.query)
                answer = await team.operator.pages.post(address, data={**fields, **csrf, "other": "1"})
                if answer.status_code != 403:
                    taken.append((route, csrf, answer.status_code))
    assert taken == []


async def test_ids_of_another_workspace_do_not_exist_in_ones_own(world: World, team: Team) -> None:
    """The outsider asks in its own workspace, which exists, for what belongs to this one."""
    theirs = team.outsider
    other = team.workspace.__class__(team.console.stage, theirs.workspace)
    await other.play(other.command("configure_workspace", set={}))
    ids = {**world.ids, "workspace": theirs.workspace}
    elsewhere = World(world.people, ids)
    shown = []
    for route in PAGES:
        method, path = route.split(" ")
        if method == "GET" and path.startswith(W) and re.search(r"\{(?!workspace)", path):
            answer = await theirs.pages.get(elsewhere.address(path, ""), follow_redirects=False)
            if answer.status_code != 404 and any(secret in answer.text for secret in (PHONE, "hello", "p-vip")):
                shown.append((path, answer.status_code))
    for call in CALLS:
        method, path = call.split(" ")
        names = re.findall(r"\{(\w+)\}", path)
        if method == "GET" and {"contact_id", "send_id", "profile_id", "command_id", "group_id"} & set(names):
            answer = await theirs.api.get(elsewhere.address(path, f"cycle={ids['cycle']}" if "explain" in path else ""))
            if answer.status_code != 404:
                shown.append((path, answer.status_code))
    assert shown == []


async def test_the_body_does_not_choose_who_gives_a_command(team: Team) -> None:
    forged = {"id": "olga", "role": "owner", "module": "settings"}
    body = {"command": "configure_workspace", "set": {"mac_limit": 1}}
    path = f"/workspaces/{team.workspace.id}/commands"

    refused = await team.agent.api.post(path, json=body | {"actor": forged})
    as_agent = await team.agent.api.post(path, json=body)
    id_ = str(uuid4())
    as_owner = await team.owner.api.post(path, json=body | {"command_id": id_})

    assert refused.status_code == 422
    assert (as_agent.status_code, as_agent.json()["reason"]) == (200, "not_permitted")
    assert (as_owner.status_code, as_owner.json()["outcome"]) == (200, "done")
    [row] = await team.workspace.rows("audit_list", command_id=UUID(id_))
    assert (row["actor"], row["role"], row["module"]) == (team.owner.person.name, "owner", "api")
