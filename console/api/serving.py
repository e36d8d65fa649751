"""Routes of the calls: who asks, what they may see, what they ask, and the answer."""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from pydantic import ValidationError
from starlette.datastructures import QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.access import digest
from console.api.addresses import NAMES
from console.api.calls import Answer, Asked, Call
from console.api.problems import Problem, Wrong, unfit
from console.bounds import REQUEST_S
from console.parts import Parts
from console.person import Person
from console.reading import settings
from console.reading.paging import Rows

_NAME: Final = re.compile(r"\{(\w+)\}")
_BEARER: Final = "bearer "


def route(parts: Parts, call: Call) -> Route:
    """The route of a call."""

    async def endpoint(request: Request) -> Response:
        until = asyncio.get_running_loop().time() + REQUEST_S
        person, token = await _person(parts, request)
        path = _path_of(request)
        _check_that_it_is_seen(call, person, path)
        query = _query(call, request.query_params)
        body = await _body(request) if call.body is not None else None
        answer = await _answer(call, Asked(request, parts, person, token, path, query, body, until))
        if isinstance(answer, Response):
            return answer
        return Response(_bytes(answer), answer.status, answer.headers, answer.media_type)

    path = _NAME.sub(lambda name: f"{{{name[1]}:{NAMES[name[1]].convertor}}}", call.path)
    return Route(path, endpoint, methods=[call.method])


async def _person(parts: Parts, request: Request) -> tuple[Person, str]:
    given = request.headers.get("authorization", "")
    if not given:
        raise HTTPException(401)
    token = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else ""
    person = await parts.access.of_token(token) if token else None
    if person is None:
        raise HTTPException(401, headers={"www-authenticate": 'Bearer realm="sluice", error="invalid_token"'})
    parts.rates.take(digest(token))
    return person, token


def _path_of(request: Request) -> Mapping[str, Any]:
    try:
        return {name: NAMES[name].read(str(value)) for name, value in request.path_params.items()}
    except ValueError:
        raise HTTPException(404) from None


def _check_that_it_is_seen(call: Call, person: Person, path: Mapping[str, Any]) -> None:
    if call.has_workspace and not person.sees(path["workspace"]):
        raise HTTPException(404)
    if call.is_for_operators and not person.is_operator:
        raise HTTPException(404)


def _query(call: Call, given: QueryParams) -> Any:
    values = {name: given.getlist(name) for name in given}
    single = {name: found[0] if len(found) == 1 else found for name, found in values.items()}
    try:
        return call.query.model_validate(single)
    except ValidationError as error:
        wrong = [Wrong(".".join(map(str, one["loc"])), one["msg"]) for one in error.errors(include_url=False)]
        raise Problem(422, errors=wrong) from None


async def _body(request: Request) -> Any:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415)
    raw = await request.body()
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(422, f"The body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise Problem(422, "The body is no JSON object.")
    return body


async def _answer(call: Call, asked: Asked) -> Answer | Response:
    try:
        if call.do is not None:
            return await call.do(asked)
        assert call.read is not None  # noqa: S101 - see `Call`
        async with asked.parts.postgres.snapshot() as connection:
            if call.has_workspace and not await settings.exists(connection, asked.workspace):
                raise HTTPException(404)
            found = await call.read(asked, connection)
    except ValueError as error:
        raise unfit(error) from None
    if found is None:
        raise HTTPException(404)
    return found if isinstance(found, Answer) else Answer(found)


def _bytes(answer: Answer) -> bytes:
    document = answer.document
    if isinstance(document, bytes):
        return document
    if isinstance(document, Rows):
        document = document._asdict()
    return msgspec.json.encode(document)
