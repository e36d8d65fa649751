"""The ledger book's worker as a process: `python -m tests.runtime.bookworker`, with SLUICE_… variables."""

import sys

from tests.runtime.ledgerbook import OUTPUT, TOPIC, spec_of
from workers.app import supervisor
from workers.app.settings import load_settings
from workers.app.supervisor import Plan

if __name__ == "__main__":
    plan = Plan([spec_of()], publishes=False, topics=(TOPIC, OUTPUT, "dead.letters"))
    sys.exit(supervisor.main(load_settings(), plan))
