"""The ledger book's worker as a process: `python -m tests.runtime.bookworker`, told by SLUICE_… variables."""

import sys

from tests.runtime.ledgerbook import OUTPUT, TOPIC, spec_of
from workers.runtime import supervisor
from workers.runtime.supervisor import Plan
from workers.settings import load_settings

if __name__ == "__main__":
    plan = Plan([spec_of()], publishes=False, topics=(TOPIC, OUTPUT, "dead.letters"))
    sys.exit(supervisor.main(load_settings(), plan))
