"""How the parts of a process end: the exit code, and the log line that says why."""

import asyncio
from typing import Final

import structlog

from workers.errors import ApplyFailed, ExitCode, SluiceError

ENDINGS: Final = {
    ExitCode.CLEAN: "cleanly",
    ExitCode.FAULT: "with a fault",
    ExitCode.SETUP: "because something must be set up first",
    ExitCode.STOPPED_THE_LINE: "because the bad-record limit was reached",
    ExitCode.FENCED: "because another process owns a partition",
}

log = structlog.get_logger()


def ending(task: asyncio.Task[ExitCode]) -> ExitCode:
    """The exit code of a part. Logs why it ended, if that was no clean stop."""
    if not task.done():
        log.error("It did not stop in time.", action="stop_incomplete", service=task.get_name())
        return ExitCode.FAULT
    if task.cancelled():
        log.error("Something it needs was cancelled: this is a bug.", action="fault", service=task.get_name())
        return ExitCode.FAULT
    error = task.exception()
    return task.result() if error is None else log_end(task.get_name(), error)


def log_end(service: str, error: BaseException) -> ExitCode:
    """Logs how it ended, and returns the exit code for that."""
    if not isinstance(error, SluiceError):
        log.error("A fault: this is a bug.", action="fault", service=service, exc_info=error)
        return ExitCode.FAULT
    # What an operator can repair is one line; a cause is shown only to find a bug.
    cause = error.__cause__ if isinstance(error, ApplyFailed) else None
    log.error(str(error), action=type(error).__name__.lower(), service=service, exc_info=cause)
    return error.exit_code
