"""The queue of held sends: confirm or reject one, or a group."""

from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.page import PageRequest, PageRoute
from console.pages.telling import told
from console.reading import sends
from console.reading.paging import DEFAULT
from console.texts import text

_COMMANDS: Final = {"confirm": "confirm_send", "reject": "reject_send"}


async def shown(page: PageRequest) -> Response:
    """The queue, oldest first, and one hold beside it."""
    async with page.parts.postgres.snapshot() as connection:
        holds = await sends.held(connection, page.workspace, page.query("group"), DEFAULT, page.query("cursor"))
        opened, hold = page.request.path_params.get("send_id"), None
        if opened is not None:
            hold = await sends.hold(connection, page.workspace, page.uuid("send_id"))
        return await page.render(connection, "confirm", holds=holds, hold=hold, opened=opened)


async def answer(page: PageRequest) -> Response:
    """Confirms or rejects a hold, or a group of holds."""
    command = _COMMANDS.get(str(page.form.get("answer")))
    if command is None:
        raise HTTPException(400)
    group = page.form.get("group_id")
    fields = {"group_id": group} if group else {"send_id": str(page.uuid("send_id"))}
    given = await page.give(command, "inbox", fields)
    return page.to("confirm", told(given, text(f"confirm.done_{command}")))


PAGES: Final = (
    PageRoute("confirm", shown),
    PageRoute("confirm/{send_id}", shown),
    PageRoute("confirm/{send_id}", answer, "POST"),
)
