"""Errors as RFC 9457 has them."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

import msgspec
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPE: Final = "application/problem+json"
_TOLD: Final[Mapping[int, str]] = {
    401: "Give a token: `Authorization: Bearer …`. `sluice tokens add` makes one.",
    404: "It does not exist, or you may not see it.",
    405: "This address does not have that method.",
    413: "The body is larger than 256 KiB.",
    415: "The body must be JSON, with `Content-Type: application/json`.",
    422: "The request does not fit.",
    429: "Too many requests. `Retry-After` says after how many seconds to ask again.",
    503: "Kafka or PostgreSQL does not answer, or not in time. Ask again in a moment.",
}


_TITLES: Final[Mapping[int, str]] = {413: "Content Too Large", 422: "Unprocessable Content"}
"""Phrases of RFC 9110 that older releases of Python do not have."""
# How errors name a field: ours, and those of decoding.
_NAMED: Final = re.compile(r"([a-z_]+): (.*)", re.DOTALL)
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`")
_MISSING: Final = re.compile(r"missing required field `(\w+)`")


class FieldProblem(BaseModel):
    """What is wrong with a field: a parameter, or a field of the body, with dots between the names."""

    field: str
    detail: str


class ProblemDetails(BaseModel):
    """An error. `errors`: of fields. `command_id`, `send_id`: what was asked for may have been produced under this id.
    Ask for its result, or give the same again with the same id.
    """

    type: str
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    errors: list[FieldProblem] | None = None
    command_id: str | None = None
    send_id: str | None = None


class Wrong(NamedTuple):
    """A field and what is wrong with it."""

    field: str
    detail: str


class Problem(HTTPException):
    """An error with more than its status. `more`: fields of `ProblemDetails`."""

    def __init__(
        self,
        status: int,
        detail: str | None = None,
        errors: Iterable[Wrong] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail or _TOLD.get(status))
        wrong = [one._asdict() for one in errors]
        self.more = {**({"errors": wrong} if wrong else {}), **(more or {})}


def unfit(error: ValueError) -> Problem:
    """422 for an error whose text says what was expected, and often of which field."""
    told = str(error)
    named, missing = _NAMED.match(told), _MISSING.search(told)
    if named is not None:
        return Problem(422, errors=[Wrong(*named.groups())])
    at = _AT.search(told)
    field = ".".join(filter(None, (at and at[1], missing and missing[1])))
    return Problem(422, told, [Wrong(field, _AT.sub("", told))] if field else [])


def answered(_request: Request, error: HTTPException) -> Response:
    """The answer to an error."""
    status = HTTPStatus(error.status_code)
    # Starlette tells the phrase of the status where nobody said more.
    detail = _TOLD.get(status, status.description) if error.detail == status.phrase else error.detail
    document = {
        "type": "about:blank",
        "title": _TITLES.get(status, status.phrase),
        "status": int(status),
        "detail": detail,
    }
    headers = dict(error.headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        headers.setdefault("www-authenticate", 'Bearer realm="sluice"')
    if isinstance(error, Problem):
        document |= error.more
    return Response(msgspec.json.encode(document), status, headers, MEDIA_TYPE)
