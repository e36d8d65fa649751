"""Errors, named by what the code that catches them must do. Each class docstring is the sentence for the operator."""

from enum import IntEnum


class ExitCode(IntEnum):
    """How a worker process ends."""

    CLEAN = 0
    FAULT = 1
    SETUP = 2
    STOPPED_THE_LINE = 3
    FENCED = 4


class SluiceError(Exception):
    """This process cannot continue."""

    exit_code = ExitCode.FAULT


class SettingsError(SluiceError):
    """Correct the settings, then start again."""

    exit_code = ExitCode.SETUP


class SetupError(SluiceError):
    """Bring the database or the topics up to date (or grant the missing right), then start again."""

    exit_code = ExitCode.SETUP


class NotFound(SluiceError):  # noqa: N818 - an answer, not a mistake
    """The thing that was asked for does not exist."""


class NotPossible(SluiceError):  # noqa: N818 - an answer, not a mistake
    """The request is not possible in the present state."""


class Unreachable(SluiceError):  # noqa: N818 - a state, not a mistake
    """A server did not answer within the bound; start again once it does."""


class PositionLost(SluiceError):  # noqa: N818
    """The next record to apply is not what the topic holds; an operator must decide (`sluice progress`)."""


class Stalled(SluiceError):  # noqa: N818
    """Polling stands still although there are records; the process ends so that another one takes over."""


class ApplyFailed(SluiceError):  # noqa: N818
    """A worker's rules raised: a bug is not a bad record, so nothing was applied."""


class RetryBatch(Exception):  # noqa: N818
    """Raised by `apply` when an optimistic check failed: the engine rolls back and runs the batch again."""
