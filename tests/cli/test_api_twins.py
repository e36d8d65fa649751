"""Every call of the HTTP API has a twin on the command line."""

from typing import Any, Final

from typer.main import get_command

from console.api import CALLS
from workers.cli import main
from workers.cli.twins.building import twins

_IN: Final = "/workspaces/{workspace}"
TWINS: Final = {
    "GET /workspaces": ["workspaces"],
    f"GET {_IN}/contacts": ["contacts list", "contacts find"],
    f"GET {_IN}/contacts/{{contact_id}}": ["contacts show"],
    f"GET {_IN}/contacts/{{contact_id}}/messages": ["contacts messages"],
    f"GET {_IN}/contacts/{{contact_id}}/channels": ["contacts channels"],
    f"GET {_IN}/contacts/{{contact_id}}/explain": ["mac explain"],
    f"GET {_IN}/profiles": ["profiles list", "profiles find"],
    f"GET {_IN}/profiles/{{profile_id}}": ["profiles show"],
    f"GET {_IN}/profiles/{{profile_id}}/moments": ["profiles moments"],
    f"GET {_IN}/holds": ["holds list"],
    f"GET {_IN}/sends/{{send_id}}": ["sends show"],
    f"GET {_IN}/groups/{{group_id}}": ["sends group"],
    f"GET {_IN}/runs": ["runs list"],
    f"GET {_IN}/drops": ["drops"],
    f"GET {_IN}/merge-suggestions": ["merge-suggestions"],
    f"GET {_IN}/merges": ["merges"],
    f"GET {_IN}/deletions": ["deletions"],
    f"GET {_IN}/audit": ["audit"],
    f"GET {_IN}/settings": ["settings"],
    f"GET {_IN}/mac": ["mac list"],
    f"GET {_IN}/mac/{{cycle_start}}/contacts": ["mac contacts"],
    f"GET {_IN}/mac/{{cycle_start}}/adjustments": ["mac adjustments"],
    f"GET {_IN}/mac/chart.svg": ["mac chart"],
    f"GET {_IN}/may-send": ["may-send"],
    f"GET {_IN}/impact": ["impact"],
    f"POST {_IN}/commands": list(twins()),
    f"GET {_IN}/commands/{{command_id}}": ["commands show"],
    f"POST {_IN}/sends": ["sends request"],
    f"GET {_IN}/events": ["events"],
    "GET /status": ["status"],
    "GET /partitions": ["progress show"],
    "GET /dead-letters": ["dead-letters list"],
    "POST /dead-letters/{letter}/replay": ["dead-letters replay"],
    "POST /dead-letters/{letter}/dismiss": ["dead-letters dismiss"],
}


def test_every_call_of_the_api_has_a_twin() -> None:
    assert {f"{call.method} {call.path}" for call in CALLS} == TWINS.keys()


def test_the_twins_are_there_and_print_json() -> None:
    for name in {name for names in TWINS.values() for name in names} - {"impact"}:
        found: Any = get_command(main.app)
        for word in name.split():
            found = found.get_command(None, word)
            assert found is not None, name
        assert any("--json" in option.opts for option in found.params), name
