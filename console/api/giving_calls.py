"""Calls that give commands and ask for sends."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request

from console.api import bodies
from console.api.calls import Answer, Asked, Call
from console.api.documents import CommandGiven, CommandResult, SendGiven
from console.api.problems import Problem, Wrong, unfit
from console.api.rows import SendStatus
from console.asking import UNANSWERED, CommandAnswer, OtherCommand

_IN: Final = "/workspaces/{workspace}"
_WAIT_S: Final = 5
_LONGEST_WAIT_S: Final = 30
# Before the request ends: who waits is answered by then, and who asks for something has its id.
_WAITED_S: Final = 2.0
_TOLD_S: Final = 1.0
_PREFER: Final = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,4})\"?(?:$|[,;\s])")
KEY: Final = "idempotency-key"
HEADERS: Final = (
    ("Idempotency-Key", "uuid", "The id, in place of the one in the body."),
    ("Prefer", "", "`wait=N`: for how many seconds to wait for the answer, 0 to 30; by default 5."),
)


async def command(asked: Asked) -> Answer:
    """`POST …/commands`."""
    fields = dict(asked.body)
    name, command_id = fields.pop("command", None), _id_of(asked.request, fields, "command_id")
    _refuse(fields, bodies.SET_BY_SERVER)
    if not isinstance(name, str):
        raise Problem(422, errors=[Wrong("command", "expected the name of a command")])
    actor = asked.person.actor("api")
    try:
        bodies.require_fields_of(name, fields)
        async with asyncio.timeout_at(asked.until - _TOLD_S):
            answer = await asked.parts.asking.command(asked.workspace, actor, name, command_id, fields, _wait_of(asked))
    except ValueError as error:
        raise unfit(error) from None
    except OtherCommand as error:
        raise Problem(422, errors=[Wrong("command_id", str(error))]) from None
    except UNANSWERED:
        raise Problem(503, more={"command_id": str(command_id)}) from None
    if answer is None:
        place = f"{_base(asked.request)}/{command_id}"
        return Answer({"command_id": command_id}, 202, {"location": place})
    return Answer(_told(answer))


async def result(asked: Asked) -> Answer:
    """`GET …/commands/{id}`."""
    answer = await asked.parts.asking.result(asked.workspace, asked.path["command_id"])
    if answer is None:
        raise HTTPException(404)
    return Answer(_told(answer))


async def send(asked: Asked) -> Answer:
    """`POST …/sends`."""
    fields = dict(asked.body)
    send_id = _id_of(asked.request, fields, "send_id")
    _refuse(fields, bodies.SET_BY_SERVER_IN_SENDS)
    try:
        async with asyncio.timeout_at(asked.until - _TOLD_S):
            record = await bodies.send_record_of(asked.parts, asked.person, asked.workspace, send_id, fields)
            row = await asked.parts.asking.send(asked.workspace, send_id, record, _wait_of(asked))
    except ValueError as error:
        raise unfit(error) from None
    except UNANSWERED:
        raise Problem(503, more={"send_id": str(send_id)}) from None
    if row is None:
        return Answer({"send_id": send_id}, 202, {"location": f"{_base(asked.request)}/{send_id}"})
    return Answer(dict(row))


def _told(answer: CommandAnswer) -> Mapping[str, Any]:
    names = ("command_id", "command", "outcome", "reason", "detail", "changed")
    return {name: getattr(answer, name) for name in names}


def _base(request: Request) -> str:
    return request.url.path


def _refuse(fields: Mapping[str, Any], names: tuple[str, ...]) -> None:
    given = [Wrong(name, "the server says this itself; leave it out") for name in names if name in fields]
    if given:
        raise Problem(422, errors=given)


def _id_of(request: Request, fields: dict[str, Any], name: str) -> UUID:
    """The id of the body or of the header; a new one if there is none."""
    in_body, in_header = fields.pop(name, None), request.headers.get(KEY)
    found = {where: _uuid(where, text) for where, text in ((name, in_body), (KEY, in_header)) if text is not None}
    if len(set(found.values())) > 1:
        raise Problem(422, errors=[Wrong(name, "it differs from `Idempotency-Key`")])
    return next(iter(found.values()), None) or uuid4()


def _uuid(where: str, text: object) -> UUID:
    try:
        if not isinstance(text, str):
            raise ValueError(text)
        return UUID(text.strip('"'))
    except ValueError:
        raise Problem(422, errors=[Wrong(where, "expected a UUID")]) from None


def _wait_of(asked: Asked) -> float:
    """For how long to wait for the answer, in seconds."""
    wanted = _PREFER.search(asked.request.headers.get("prefer", ""))
    seconds = float(_WAIT_S if wanted is None else min(int(wanted[1]), _LONGEST_WAIT_S))
    left = asked.until - _WAITED_S - asyncio.get_running_loop().time()
    return max(0.0, min(seconds, left))


CALLS: Final = (
    Call(
        "POST",
        f"{_IN}/commands",
        "Give a command, and wait for its result. 200 also if it was refused.",
        {200: CommandResult, 202: CommandGiven},
        do=command,
        body=bodies.COMMAND,
        headers=HEADERS,
    ),
    Call(
        "GET",
        f"{_IN}/commands/{{command_id}}",
        "The result of a command; 404 while there is none.",
        {200: CommandResult},
        do=result,
    ),
    Call(
        "POST",
        f"{_IN}/sends",
        "Ask for a send, and wait for its first status: `dispatched`, `refused` with a reason, or `held` with reasons.",
        {200: SendStatus, 202: SendGiven},
        do=send,
        body=bodies.SEND,
        headers=HEADERS,
    ),
)
