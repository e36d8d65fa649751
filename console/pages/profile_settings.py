"""What profiles and contacts are described by: statuses and companies with their protection, and custom fields."""

from collections.abc import Mapping
from typing import Any, Final, get_args
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.responses import Response

from console.pages.answers import Question, ask, given, is_sure, touched
from console.pages.page import Handler, PageRequest, PageRoute
from console.pages.telling import refusal, told
from console.reading import people, settings
from console.reading.paging import DEFAULT
from console.texts import text
from schemas.settings_commands import FieldType

_HERE: Final = "profiles/settings"


async def shown(page: PageRequest) -> Response:
    """Statuses, companies and custom fields."""
    return await _page(page, None)


async def changed(page: PageRequest) -> Response:
    """Defines, protects or unprotects; what stands in the field `act`."""
    act = _ACTS.get(str(page.form.get("act")))
    if act is None:
        raise HTTPException(400)
    return await act(page)


async def _page(page: PageRequest, failed: Mapping[str, str] | None) -> Response:
    commands = ("define_status", "define_company", "protect_company", "define_field")
    async with page.parts.postgres.snapshot() as connection:
        return await page.render(
            connection,
            "profiles",
            template="profile_settings",
            configured=await settings.configured(connection, page.workspace),
            companies=await settings.companies(connection, page.workspace, DEFAULT, page.query("cursor")),
            types=get_args(FieldType),
            may={command: page.person.may(command, "settings") for command in commands},
            failed=failed or {},
            typed=page.form,
        )


async def _protecting(
    page: PageRequest, command: str, called: str, kept: list[tuple[str, str]], **fields: Any
) -> Response | None:
    """Asks first: protecting holds every send to the contacts of many profiles."""
    if is_sure(page):
        return None
    if not page.person.may(command, "settings"):
        raise HTTPException(403)
    async with page.parts.postgres.snapshot() as connection:
        figures = await people.impact(connection, page.workspace, command, **fields)
        lines = touched(figures, "protect") or [text("impact.protect_nobody")]
        title = text("profile_settings.protect_title", name=called)
        question = Question(title, lines, text("profile_settings.protect_button"), kept, page.at(_HERE))
        return await ask(page, connection, "profiles", question)


async def _status(page: PageRequest) -> Response:
    """Makes a status, or changes whether it protects."""
    name, is_protected = str(page.form.get("name", "")).strip(), page.form.get("protected") == "1"
    is_known = bool(page.form.get("known"))
    if not is_known and await _is_status(page, name):
        return await _page(page, {"status": text("profile_settings.status_exists")})
    kept = [("act", "status"), ("name", name), ("protected", "1"), ("known", "1")]
    if is_protected and name:
        asked = await _protecting(page, "define_status", name, kept, name=name, protected=True)
        if asked:
            return asked
    answer = await given(page, "define_status", "settings", {"name": name, "protected": is_protected})
    if answer is not None and not answer.is_done:
        return await _page(page, {"status": refusal(answer)})
    undo = None
    if not is_protected and is_known:
        undo = (page.at(_HERE), [*kept, ("sure", "1")], text("profiles.undo"))
    return page.to(_HERE, told(answer, _protection_told(name, is_protected=is_protected), undo))


async def _company(page: PageRequest) -> Response:
    """Makes a company, or gives it another name."""
    asked = {name: str(page.form.get(name, "")).strip() for name in ("company_id", "name")}
    asked["company_id"] = asked["company_id"] or str(uuid4())
    if not page.form.get("known") and await _is_company(page, asked["company_id"]):
        return await _page(page, {"company": text("profile_settings.company_exists")})
    answer = await given(page, "define_company", "settings", asked)
    if answer is not None and not answer.is_done:
        return await _page(page, {"company": refusal(answer)})
    return page.to(_HERE, told(answer, text("profile_settings.company_saved", name=asked["name"])))


async def _protect_company(page: PageRequest) -> Response:
    company_id, name = str(page.form.get("company_id", "")), str(page.form.get("name", ""))
    kept = [("act", "protect_company"), ("company_id", company_id), ("name", name)]
    asked = await _protecting(page, "protect_company", name, kept, company_id=company_id)
    if asked:
        return asked
    answer = await given(page, "protect_company", "settings", {"company_id": company_id})
    return page.to(_HERE, told(answer, _protection_told(name, is_protected=True)))


async def _unprotect_company(page: PageRequest) -> Response:
    company_id, name = str(page.form.get("company_id", "")), str(page.form.get("name", ""))
    answer = await given(page, "unprotect_company", "settings", {"company_id": company_id})
    again = [("act", "protect_company"), ("company_id", company_id), ("name", name), ("sure", "1")]
    undo = (page.at(_HERE), again, text("profiles.undo"))
    return page.to(_HERE, told(answer, _protection_told(name, is_protected=False), undo))


async def _field(page: PageRequest) -> Response:
    """Makes a custom field, or changes the options of a list."""
    asked: dict[str, Any] = {name: str(page.form.get(name, "")).strip() for name in ("scope", "name", "type")}
    options = [line.strip() for line in str(page.form.get("options", "")).splitlines() if line.strip()]
    if asked["type"] == "list":
        asked["options"] = options
    answer = await given(page, "define_field", "settings", asked)
    if answer is not None and not answer.is_done:
        return await _page(page, {"field": refusal(answer)})
    return page.to(_HERE, told(answer, text("profile_settings.field_saved", name=asked["name"])))


async def _is_status(page: PageRequest, name: str) -> bool:
    """Whether a form for a new status would change one."""
    async with page.parts.postgres.snapshot() as connection:
        configured = await settings.configured(connection, page.workspace)
    return any(row["name"] == name for row in configured["statuses"])


async def _is_company(page: PageRequest, company_id: str) -> bool:
    """Whether a form for a new company would change one."""
    async with page.parts.postgres.snapshot() as connection:
        return await settings.company_exists(connection, page.workspace, company_id)


def _protection_told(name: str, *, is_protected: bool) -> str:
    return text("profile_settings.protected_now" if is_protected else "profile_settings.unprotected_now", name=name)


_ACTS: Final[Mapping[str, Handler]] = {
    "status": _status,
    "company": _company,
    "protect_company": _protect_company,
    "unprotect_company": _unprotect_company,
    "field": _field,
}
PAGES: Final = (PageRoute(_HERE, shown), PageRoute(_HERE, changed, "POST"))
