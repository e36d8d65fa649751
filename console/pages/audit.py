"""The audit log: who did what, when, from where, and what it changed."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode
from uuid import UUID

import msgspec
from starlette.responses import Response

from console.pages.page import PageRequest, PageRoute
from console.reading import histories, naming
from console.reading.histories import AuditFilter
from console.reading.paging import DEFAULT
from console.texts import known, text
from workers.rules.permissions import TABLE

_CONTACTS: Final = ("contact_id", "survivor_id", "loser_id")
_OUTCOMES: Final = ("done", "refused")
_SHORT: Final = 8  # characters of an id, as `short_id` shows it
_SHOWN: Final = 5  # of a list of ids


class Named(NamedTuple):
    """What a command named. `contact`: its id, if it is one. `path`: its page below the workspace, if it has one."""

    kind: str
    id: str
    contact: UUID | None = None
    path: str | None = None

    @property
    def is_uuid(self) -> bool:
        """Whether people know it by the beginning of its id."""
        return _uuid(self.id) is not None


async def shown(page: PageRequest) -> Response:
    """Commands, the newest on top."""
    wanted = AuditFilter(*(page.query(name) for name in AuditFilter._fields))
    async with page.parts.postgres.snapshot() as connection:
        rows = await histories.audit(connection, page.workspace, wanted, DEFAULT, page.query("cursor"))
        named = {row["command_id"]: list(targets(row["target"])) for row in rows.items}
        contacts = (one.contact for all_ in named.values() for one in all_ if one.contact)
        chosen = {name: value for name, value in wanted._asdict().items() if value}
        return await page.render(
            connection,
            "audit",
            rows=rows,
            named=named,
            names=await naming.names(connection, page.workspace, contacts),
            wanted=wanted,
            commands=sorted(TABLE, key=command),
            outcomes=_OUTCOMES,
            command=command,
            why=why,
            changes=changes,
            next_page=f"audit?{urlencode({**chosen, 'cursor': rows.next})}" if rows.next else None,
        )


def command(name: str) -> str:
    """What a command does, in words; one of a newer version by its name."""
    key = f"audit.command_{name}"
    return text(key) if known(key) else name.replace("_", " ")


def why(row: Mapping[str, Any]) -> str:
    """Why a command was refused, in words."""
    key = f"refusals.{row['reason']}"
    words = text(key) if known(key) else str(row["reason"])
    detail = str(row["detail"] or "").replace("`", "")
    return f"{words} {detail}" if detail else words


def changes(changed: Mapping[str, Any] | None) -> list[str]:
    """What a command changed: each figure that is not 0, by the name that the result gives it."""
    return [
        f"{name.replace('_', ' ')}: {_value(value)}"
        for name, value in (changed or {}).items()
        if value is False or value != 0
    ]


def targets(target: str | None) -> Iterator[Named]:
    """What a command named. The log has it as JSON, which may be cut off."""
    try:
        found = msgspec.json.decode(target or "{}", type=dict[str, Any])
    except msgspec.DecodeError:
        yield Named(text("audit.kind_other"), str(target))
        return
    for name, value in found.items():
        values = value if isinstance(value, list) else [value]
        for one in values[:_SHOWN]:
            yield _named(name, one)
        if len(values) > _SHOWN:
            yield Named(text("audit.kind_other"), text("audit.and_more", number=len(values) - _SHOWN))


def _named(name: str, value: Any) -> Named:
    key = f"audit.kind_{name}"
    kind = text(key) if known(key) else name.replace("_", " ")
    if isinstance(value, Mapping):
        return Named(kind, ", ".join(str(one) for one in value.values() if one is not None))
    id_ = str(value)
    contact = _uuid(id_) if name in (*_CONTACTS, "contact_ids") else None
    path = None
    if contact is not None:
        path = f"conversations/{contact}"
    elif name == "profile_id":
        path = f"profiles/{quote(id_, safe='')}"
    return Named(kind, id_, contact, path)


def _uuid(value: str) -> UUID | None:
    try:
        return UUID(value)
    except ValueError:
        return None


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return text("audit.yes" if value else "audit.no")
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "–"
    words = "–" if value is None else str(value)
    return words[:_SHORT] if _uuid(words) else words


PAGES: Final = (PageRoute("audit", shown),)
