"""How the recorded day is made: the cast, what each of them does, and the tape it is written on.

Only `tools.record_day` uses the modules of this package; `workers.dev.recording` reads what it made.
"""

from datetime import UTC, datetime
from typing import Final

DAY_START: Final = datetime(2026, 3, 10, tzinfo=UTC)
