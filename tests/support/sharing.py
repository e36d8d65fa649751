"""How several processes share the tests of one run (`make test`; pytest-xdist)."""

import re
from typing import Final

from xdist.scheduler import LoadScopeScheduling

_STAGE: Final = re.compile(r"^tests/acceptance/.*[\[-](embedded|kafka)[]-]")
_EXAMPLES: Final = "tests/examples/"
_BY_FILE: Final = ("tests/console/", "tests/operations/")
_WHOLE: Final = ("tests/simulation/test_simulation.py", "tests/store/test_plans.py")
"""Files with a fixture that all their tests share."""


class InOneGo(LoadScopeScheduling):
    """Each test goes to a free process; but tests with an expensive set-up share one process.

    The mark `xdist_group` would say the same, were it not ignored by pytest-xdist 3.8 under pytest 9.2.
    """

    def _split_scope(self, nodeid: str) -> str:
        stage = _STAGE.match(nodeid)
        if stage is not None:
            return f"stage {stage[1]}"
        if nodeid.startswith(_EXAMPLES):
            return _EXAMPLES
        file = nodeid.partition("::")[0]
        return file if file in _WHOLE or file.startswith(_BY_FILE) else nodeid
