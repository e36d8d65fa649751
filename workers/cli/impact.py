"""`sluice impact`: what a command would touch, before it is given."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import uuid4

import msgspec

from schemas.actors import Actor, Identity
from workers.app.database_failures import reading
from workers.app.settings import Settings
from workers.cli import impact_words
from workers.cli.giving import Giver, Unfit, asked
from workers.cli.pages import Page
from workers.cli.reports import require_workspace
from workers.cli.twins.running import in_options
from workers.commands.targets import understand
from workers.errors import SettingsError
from workers.rules.results import Refused
from workers.store import contact_lists, reports
from workers.store.connection import Connection, transaction_time

_ANYBODY: Final = Actor(id="nobody", role="system", module="api")


async def foreseen(
    settings: Settings, workspace: str, command: str, fields: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Any]:
    """The figures of a command with these fields, and what they mean in words. `words` has the option of each field.

    Raises:
        NotFound: there is no such workspace.
        SettingsError: a field does not fit.
    """
    async with reading(settings) as tx:
        giver = Giver(workspace, _ANYBODY, timeout_s=0)
        try:
            one = asked(giver, command, uuid4(), await transaction_time(tx), fields)
        except Unfit as error:
            raise SettingsError(in_options(str(error), words)) from None
        await require_workspace(tx, workspace)
        record = msgspec.json.decode(one.value)
        if "identity" in record:
            record["identity"] = await _kept(tx, workspace, record["identity"], words)
        row = await reports.impact(tx, workspace, msgspec.json.encode(record).decode())
    return {"workspace_id": workspace, "command": command, **row, "in_words": impact_words.told(command, row)}


async def _kept(tx: Connection, workspace: str, given: Mapping[str, Any], words: Mapping[str, str]) -> dict[str, Any]:
    """The address as Sluice keeps it."""
    meant = understand(msgspec.convert(given, Identity), await contact_lists.tenant(tx, workspace))
    if isinstance(meant, Refused):
        raise SettingsError(in_options(meant.detail, words))
    return dict(given) | {"address": meant.lookup}


def page(impact: Mapping[str, Any]) -> Page:
    """The figures as people read them."""
    return {"command": impact["command"].replace("_", "-"), **(impact["in_words"] or {"touches": impact_words.NOTHING})}
