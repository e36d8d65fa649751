"""The drop ledger, and the release of what a mistaken block dropped."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.answers import given
from console.pages.page import Notice, PageRequest, PageRoute
from console.pages.telling import told
from console.reading import histories, naming, releases, settings
from console.reading.paging import DEFAULT
from console.texts import known, text

RELEASE: Final = "release_dropped"


async def shown(page: PageRequest) -> Response:
    """Dropped messages, the latest on top."""
    async with page.parts.postgres.snapshot() as connection:
        drops = await histories.drops(connection, page.workspace, DEFAULT, page.query("cursor"))
        names = await naming.names(connection, page.workspace, (one["contact_id"] for one in drops.items))
        return await page.render(connection, "dropped", drops=drops, names=names, counting=counting, why=why)


async def of_contact(page: PageRequest) -> Response:
    """Those of a contact, and what releases them."""
    contact = page.uuid("contact_id")
    async with page.parts.postgres.snapshot() as connection:
        drops = await histories.drops_of_contact(connection, page.workspace, contact, DEFAULT, page.query("cursor"))
        names = await naming.names(connection, page.workspace, [contact])
        whole = await releases.dropped(connection, page.workspace, contact)
        known = await settings.workspace(connection, page.workspace) or {}
        kept = {one["message_id"] for one in drops.items if is_kept(one, known.get("quarantine_days", 0), page.now)}
        if contact not in names and not whole.messages:
            raise HTTPException(404)
        return await page.render(
            connection,
            "dropped",
            template="dropped_contact",
            contact=contact,
            name=names.get(contact),
            drops=drops,
            whole=whole,
            kept=kept,
            may_release=page.person.may(RELEASE, "inbox"),
            counting=counting,
            why=why,
            field_time=field_time,
        )


async def release(page: PageRequest) -> Response:
    """Releases the messages that were chosen, or those of a range of time."""
    contact = page.uuid("contact_id")
    path = f"dropped/{contact}"
    fields: dict[str, Any] = {"contact_id": str(contact)}
    if page.form.get("what") == "range":
        since, until = (moment(str(page.form.get(name, ""))) for name in ("from", "to"))
        if since is None or until is None or since >= until:
            return page.to(path, Notice("failed", text("dropped.bad_range")))
        fields |= {"from": since.isoformat(), "to": until.isoformat()}
    else:
        chosen = page.form.getlist("message_id")
        if not chosen:
            return page.to(path, Notice("failed", text("dropped.none_chosen")))
        fields["message_ids"] = [str(_id(one)) for one in chosen]
    answer = await given(page, RELEASE, "inbox", fields)
    number = 0 if answer is None else answer.changed.get("messages_revised", 0)
    if answer is not None and answer.reason == "contact_blocked":
        return page.to(path, Notice("failed", text("dropped.still_blocked")))
    return page.to(path, told(answer, text("dropped.released", count=number) if number else text("dropped.nothing")))


def is_kept(drop: Any, quarantine_days: int, now: datetime) -> bool:
    """Whether the content of a dropped message should still be there, so that it can be released."""
    decided_at: datetime = drop["decided_at"]
    return drop["reason"] == "contact_blocked" and now < decided_at + timedelta(days=quarantine_days)


def why(drop: Any) -> str:
    """Why a message was dropped, in words; a reason of a newer version stays as it is."""
    key = f"dropped.reason_{drop['reason']}"
    return text(key) if known(key) else str(drop["reason"])


def counting(drop: Any) -> str:
    """Whether a dropped message counts, and by which rule."""
    counted = "counted" if drop["counted"] else "uncounted"
    key = f"dropped.{counted}_{drop['rule']}"
    return text(key) if known(key) else text(f"dropped.{counted}")


def moment(field: str) -> datetime | None:
    """The time of a field of a form, in UTC; None: it is no time."""
    try:
        return datetime.fromisoformat(field).replace(tzinfo=UTC)
    except ValueError:
        return None


def field_time(at: datetime | None) -> str:
    """A time as a field of a form takes it."""
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _id(one: Any) -> UUID:
    try:
        return UUID(str(one))
    except ValueError:
        raise HTTPException(400) from None


PAGES: Final = (
    PageRoute("dropped", shown),
    PageRoute("dropped/{contact_id}", of_contact),
    PageRoute("dropped/{contact_id}", release, "POST"),
)
