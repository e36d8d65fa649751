"""What a call of the API is: routes and the OpenAPI document are made of the same values."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from console.moments import within_reach
from console.parts import Parts
from console.person import Person
from console.reading.paging import DEFAULT, LONGEST_CURSOR, MOST


def _no_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("expected a text without NUL")
    return text


def _yes_or_no(text: object) -> object:
    return {"true": True, "false": False}.get(str(text), text)


Typed = Annotated[str, Field(min_length=1, max_length=320), BeforeValidator(_no_nul)]
"""What somebody types, or an id."""
Flag = Annotated[bool, Field(strict=True), BeforeValidator(_yes_or_no)]
"""`true` or `false`."""
When = Annotated[AwareDatetime, AfterValidator(within_reach)]
"""A time with its zone."""


class Query(BaseModel):
    """The parameters of an address. Others are refused."""

    model_config = ConfigDict(extra="forbid")


class Paged(Query):
    """The parameters of every list."""

    limit: int = Field(DEFAULT, ge=1, le=MOST, description="How many rows a page has at most.")
    cursor: str | None = Field(None, min_length=1, max_length=LONGEST_CURSOR, description="`next` of the page before.")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of a person. `path`, `query`, `body`: as the call has them; `until`: when the request ends
    without an answer, by the clock of the event loop.
    """

    request: Request
    parts: Parts
    person: Person
    token: str
    path: Mapping[str, Any]
    query: Any
    body: Any
    until: float

    @property
    def workspace(self) -> str:
        """The workspace that the call is about."""
        return str(self.path.get("workspace", ""))


class Answer(NamedTuple):
    """A status with a document for JSON, or with bytes of another type."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] | None = None
    media_type: str = "application/json"


Reader = Callable[[Asked, Any], Coroutine[Any, Any, Any]]
"""Reads with a connection of `Postgres.snapshot`; returns a document, `Rows` or an `Answer`; None: there is none."""
Doer = Callable[[Asked], Coroutine[Any, Any, Answer | Response]]
"""Does something, with the connections that it takes itself."""


class Items(NamedTuple):
    """The answer of a list: rows of a model."""

    row: type[BaseModel]


Shown = type[BaseModel] | Items | str
"""What an answer has: a model, a list of rows, or the media type of something else than JSON."""


@dataclass(frozen=True, slots=True)
class Call:
    """A call. `path` is below `/api/v1`. It has one of `read` and `do`. `statuses`: beside those of every call."""

    method: Literal["GET", "POST"]
    path: str
    about: str
    answers: Mapping[int, Shown]
    read: Reader | None = None
    do: Doer | None = None
    query: type[Query] = Query
    body: Mapping[str, Any] | None = None
    is_for_operators: bool = False
    statuses: Sequence[int] = ()
    headers: Sequence[tuple[str, str, str]] = field(default=())

    @property
    def has_workspace(self) -> bool:
        """Whether the call is about a workspace."""
        return "{workspace}" in self.path
