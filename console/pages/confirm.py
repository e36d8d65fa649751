"""The queue of held sends: confirm or reject one, or a group."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from markupsafe import Markup
from starlette.exceptions import HTTPException
from starlette.responses import Response

from console import written
from console.asking import CommandAnswer
from console.pages.answers import given
from console.pages.page import Notice, PageRequest, PageRoute
from console.pages.rendering import in_words
from console.pages.telling import grounds, told
from console.reading import queue, sends
from console.reading.paging import DEFAULT
from console.texts import known, text
from workers.rules.wording import span

_COMMANDS: Final = {"confirm": "confirm_send", "reject": "reject_send"}
_TONES: Final = {"released": "done", "rejected": "done", "held": "waiting", "refused": "failed"}


async def shown(page: PageRequest) -> Response:
    """The queue, oldest first, and one hold beside it."""
    group, cursor = page.query("group"), page.query("cursor")
    async with page.parts.postgres.snapshot() as connection:
        holds = await queue.queue(connection, page.workspace, group, DEFAULT, cursor)
        values: dict[str, Any] = {
            "hold": None,
            "gone": None,
            "waiting": 0,
            "outlook": None,
            "content": None,
            "asked": page.query("ask"),
        }
        opened = page.uuid("send_id") if "send_id" in page.request.path_params else None
        if opened is not None:
            hold = values["hold"] = await sends.hold(connection, page.workspace, opened)
            if hold is not None:
                values["content"] = written.shown(hold["content"])
            if hold is None:
                values["gone"] = await queue.answer(connection, page.workspace, opened)
            elif hold["group_id"] is not None:
                group_id = hold["group_id"]
                values["waiting"] = await queue.waiting(connection, page.workspace, group_id)
                if page.query("ask") is not None:
                    values["outlook"] = await queue.outlook(connection, page.workspace, group_id, page.person.name)
        values |= {"holds": holds, "opened": opened, "group": group, "cursor": cursor}
        values |= {
            "grounds": grounds,
            "ending": lambda answer: _ending(page, answer),
            "most": queue.MOST_WAITING,
        }
        return await page.render(connection, "confirm", **values, consequence=_consequence(page, values["hold"]))


async def answer(page: PageRequest) -> Response:
    """Confirms or rejects a hold, or the group of it, and opens the next one."""
    command = _COMMANDS.get(str(page.form.get("answer")))
    if command is None:
        raise HTTPException(400)
    send_id, group = page.uuid("send_id"), str(page.form.get("group_id", ""))
    async with page.parts.postgres.snapshot() as connection:
        hold = await sends.hold(connection, page.workspace, send_id)
    answered = await given(page, command, "inbox", {"group_id": group} if group else {"send_id": str(send_id)})
    shown_group = page.query("group") if page.query("group") != group else None
    async with page.parts.postgres.snapshot() as connection:
        became = await queue.answer(connection, page.workspace, send_id)
        after: UUID | None = send_id
        if hold is not None and became is not None and became["status"] != "held":
            after = await queue.after(connection, page.workspace, shown_group, hold["held_at"], send_id)
    notice = _group_notice(answered) if group else _notice(page, answered, hold, became)
    path = f"confirm/{after}" if after is not None else "confirm"
    return page.to(path, notice, group=shown_group, cursor=page.query("cursor"))


def _consequence(page: PageRequest, hold: Mapping[str, Any] | None) -> tuple[str, list[Markup], bool]:
    """What confirming does now: the name of the text, what it lists, and whether it is offered."""
    if hold is None:
        return "", [], False
    if hold["expires_at"] <= page.now:
        return "expired", [], False
    if hold["two_person_confirm"] and hold["requested_by"] == page.person.name:
        return "second_person", [], False
    if hold["refusals"]:
        return "refuses", [Markup("{}").format(in_words("reasons", code)) for code in hold["refusals"]], True
    if hold["new_grounds"]:
        return "holds_again", grounds((), hold["new_grounds"]), True
    return "releasable" if hold["releasable"] else "releases", [], True


def _notice(
    page: PageRequest,
    answered: CommandAnswer | None,
    hold: Mapping[str, Any] | None,
    became: Mapping[str, Any] | None,
) -> Notice:
    """What is told after the answer to one hold."""
    if answered is not None and answered.reason == "already_final" and became is not None:
        return Notice("failed", text("confirm.too_late", ending=_ending(page, became)))
    if answered is None or not answered.is_done:
        return told(answered, "")
    if not answered.changed:
        return Notice("done", text("confirm.nothing_changed"))
    outcome = next(iter(answered.changed))
    name = (hold and (hold["display_name"] or hold["address"])) or text("confirm.unknown")
    why = in_words("reasons", became["reason"]) if became is not None and outcome == "refused" else ""
    return Notice(_TONES.get(outcome, "done"), text(f"confirm.one_{outcome}", name=name, why=why))


def _group_notice(answered: CommandAnswer | None) -> Notice:
    if answered is None or not answered.is_done:
        return told(answered, "")
    parts = [text(f"confirm.many_{status}", number) for status, number in answered.changed.items() if number]
    return Notice("done", ", ".join(parts) + "." if parts else text("confirm.group_gone"))


def _ending(page: PageRequest, answer: Mapping[str, Any]) -> str:
    """What became of a hold that does not wait any more, and who answered it."""
    ago = span(max(page.now - answer["answered_at"], timedelta()))
    status = answer["status"] if known(f"endings.{answer['status']}") else "released"
    by = answer["answered_by"]
    known_by = by is not None and known(f"endings.{status}_by")
    why = in_words("reasons", answer["reason"]) if answer["reason"] else ""
    return text(f"endings.{status}_by" if known_by else f"endings.{status}", who=by, ago=ago, why=why)


PAGES: Final = (
    PageRoute("confirm", shown),
    PageRoute("confirm/{send_id}", shown),
    PageRoute("confirm/{send_id}", answer, "POST"),
)
