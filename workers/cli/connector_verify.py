"""`sluice connectors verify`: gives a running sender trials, and shows which promises it keeps."""

import sys
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from connectors.verifier.database import views
from connectors.verifier.promises import judged
from connectors.verifier.trials import Target, tried
from workers.app.database_failures import explained
from workers.app.settings import Settings
from workers.cli import terminal
from workers.errors import NotFound, SettingsError
from workers.kafka.brokers import reached
from workers.kafka.failures import answers_explained

LONGEST_S: Final = 3_600.0


class Wanted(NamedTuple):
    """Which channel is tried, and to which address. `timeout_s` bounds each wait."""

    workspace_id: str
    channel_id: str
    address: str
    timeout_s: float


async def verified(settings: Settings, wanted: Wanted) -> dict[str, Any]:
    """Each promise with what was seen of it, and what must have arrived at the address.

    Raises:
        NotFound: there is no such channel.
        SettingsError: it is no test channel.
        NotPossible: Sluice does not dispatch to this address.
        SetupError, Unreachable: a server, a worker or the sender is away, or refuses.
    """
    cluster = settings.kafka()
    with explained():
        async with views(settings, wanted.workspace_id) as found:
            channel = await found.channel(wanted.channel_id)
            if channel is None:
                raise NotFound(
                    f"workspace {wanted.workspace_id!r} has no channel {wanted.channel_id!r}: {_how(wanted)}"
                )
            if not channel.is_test:
                raise SettingsError(
                    f"--channel: what is sent on {wanted.channel_id!r} is counted; trials need a test channel: "
                    f"{_how(wanted, channel.kind)}"
                )
            target = Target(*wanted[:2], channel.kind, *wanted[2:])
            with answers_explained(cluster):
                await reached(cluster)
                facts = await tried(settings, target, found, _tell)
    return {
        "workspace_id": wanted.workspace_id,
        "channel_id": wanted.channel_id,
        "address": wanted.address,
        "promises": [promise._asdict() for promise in judged(facts)],
        "arrived": facts.arrived,
    }


def told(document: Mapping[str, Any]) -> str:
    """What only who reads at the address can see."""
    return f"Look at {document['address']}: each of these must be there once, and nothing else of the trials: " + (
        "; ".join(document["arrived"]) or "nothing"
    )


def _how(wanted: Wanted, kind: str = "KIND") -> str:
    return (
        f"`sluice configure-channel --workspace {wanted.workspace_id} --channel-id {wanted.channel_id} "
        f"--channel {kind} --no-count --actor YOU --role owner`"
    )


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        terminal.say(f"trial: {what}")
