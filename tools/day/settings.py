"""The first minute: workspaces and channels are configured, fields, statuses and companies defined."""

from tools.day.cast import WORKSPACES, Workspace
from tools.day.stage import MANAGER, OWNER, Stage
from tools.day.tape import Json

# Companies by name, workspace by workspace; the first of each is protected.
COMPANIES = {
    "nordwind": {
        "wuest": "Kanzlei Wüst & Söhne",
        "aegean-shipping": "Πλοία Αιγαίου ΑΕ",
        "zweite-wahl": "Zweite Wahl GmbH",
    },
    "lumen-br": {"olinda": "Prefeitura de Olinda"},
    "sakura-travel": {"旅人": "株式会社旅人"},
    "masala-care": {"health-ministry": "स्वास्थ्य मंत्रालय"},
}
# The second company of nordwind becomes protected in the course of the day.
LATE_COMPANY = "aegean-shipping"
PROTECTED_STATUS = "VIP – nur nach Rücksprache"
PLAIN_STATUS = "Interessent"

_FIELDS: tuple[Json, ...] = (
    {"scope": "contact", "name": "Kundennummer", "type": "number"},
    {"scope": "contact", "name": "プラン", "type": "list", "options": ["梅", "竹", "松"]},
    {"scope": "contact", "name": "newsletter", "type": "checkbox"},
    {"scope": "profile", "name": "Branche", "type": "text"},
)


def configure(stage: Stage) -> None:
    """Every workspace, at most a second apart from the next."""
    for index, workspace in enumerate(WORKSPACES):
        _workspace(stage, workspace, 1000 + index * 700)


def protected_company(workspace_id: str) -> str:
    return next(iter(COMPANIES[workspace_id]))


def _workspace(stage: Stage, workspace: Workspace, start: int) -> None:
    settings = workspace.settings | {"default_region": workspace.region}
    stage.command(start, workspace.id, "settings", "configure_workspace", OWNER, {"set": settings})
    at = start
    for at, channel in enumerate(workspace.channels, start + 20):
        stage.command(
            at,
            workspace.id,
            "settings",
            "configure_channel",
            OWNER,
            {
                "channel_id": channel.id,
                "channel": channel.kind,
                "name": channel.name,
                "default_region": workspace.region if channel.kind in {"sms", "whatsapp"} else None,
            },
        )
    if workspace.test_channel is not None:
        test = workspace.test_channel
        stage.command(
            at + 1,
            workspace.id,
            "settings",
            "configure_channel",
            OWNER,
            {
                "channel_id": test.id,
                "channel": test.kind,
                "name": test.name,
                "count": False,
            },
        )
    for field in _FIELDS:
        stage.command(start + 60, workspace.id, "settings", "define_field", MANAGER, field)
    _statuses_and_companies(stage, workspace, start + 100)


def _statuses_and_companies(stage: Stage, workspace: Workspace, at: int) -> None:
    for name, protected in ((PROTECTED_STATUS, True), (PLAIN_STATUS, False)):
        stage.command(at, workspace.id, "settings", "define_status", OWNER, {"name": name, "protected": protected})
    for company_id, name in COMPANIES[workspace.id].items():
        stage.command(
            at + 5, workspace.id, company_id, "define_company", MANAGER, {"company_id": company_id, "name": name}
        )
    stage.command(
        at + 10,
        workspace.id,
        protected_company(workspace.id),
        "protect_company",
        OWNER,
        {"company_id": protected_company(workspace.id)},
    )
