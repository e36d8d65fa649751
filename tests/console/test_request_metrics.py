"""What the console is asked is counted by route and status code."""

from tests.console.running import Team
from tests.support.metrics import Growth


async def test_calls_and_pages_are_counted(team: Team) -> None:
    growth = Growth()

    def counted(route: str, code: int) -> float:
        labels = {"server": "console", "route": route, "method": "GET", "code": str(code)}
        return growth.of("sluice_http_requests_total", **labels)

    await team.owner.api.get(f"/workspaces/{team.workspace.id}/contacts")
    await team.outsider.api.get(f"/workspaces/{team.workspace.id}/contacts")
    await team.owner.pages.get("/nowhere/" + team.workspace.id)
    assert counted("/api/v1/workspaces/{workspace}/contacts", 200) == 1
    assert counted("/api/v1/workspaces/{workspace}/contacts", 404) == 1
    assert counted("none", 404) == 1
    assert (
        growth.of(
            "sluice_http_request_seconds_count", server="console", route="/api/v1/workspaces/{workspace}/contacts"
        )
        == 2
    )
