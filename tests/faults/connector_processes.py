"""Receivers and senders as processes of their own, which a test may pause, kill and start again.

They are told by the same SLUICE_… variables as `sluice receive` and `sluice send`, and bring a fault upon themselves
where FAULT_AT says so: see `Fault`. A sender knows the points of `connectors.sender.attempts.Probe`, a receiver
`producing` and `acknowledged`: before records of a webhook are produced, and after all of them were acknowledged.
FAULT_EARLIER_LIFE: the seconds after which a sender gives up an attempt that another life claimed.
"""

import os
from collections.abc import Sequence

from connectors.channels import channels_file, channels_of
from connectors.processes import receiving, sending
from connectors.sender.attempts import EARLIER_LIFE_S, no_probe
from tests.faults.process import Fault, Trigger
from workers.app.settings import load_settings
from workers.errors import ExitCode
from workers.process.production import Produced, Production


def send(group: str) -> ExitCode:
    """`sluice send`; `group` is the end of the group's name."""
    settings = load_settings()
    fault = Fault.told()
    return sending(
        settings,
        channels_of(channels_file(settings)),
        f"{settings.group_prefix}-send{group}",
        probe=no_probe if fault is None else Trigger(fault).probe,
        earlier_life_s=float(os.environ.get("FAULT_EARLIER_LIFE", EARLIER_LIFE_S)),
    )


def receive(port: str) -> ExitCode:
    """`sluice receive` at this port."""
    settings = load_settings()
    fault = Fault.told()
    if fault is not None:
        _watch_production(Trigger(fault))
    return receiving(settings, channels_of(channels_file(settings)), "127.0.0.1", int(port))


def _watch_production(trigger: Trigger) -> None:
    produce = Production.produce

    async def watched(production: Production, records: Sequence[Produced]) -> None:
        trigger.reached("producing")
        await produce(production, records)
        trigger.reached("acknowledged")

    Production.produce = watched  # type: ignore[method-assign, assignment]
