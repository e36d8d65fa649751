"""Billing accounts: each owns workspaces, and a workspace belongs to one account at most (contract 10)."""

import re
from collections.abc import Mapping
from typing import Any, Final

_WORKSPACE_ID: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_LONGEST: Final = 128


def accounts_of(document: Mapping[str, Any]) -> dict[str, str]:
    """The account of each workspace, from an accounts file: one table `accounts` of lists of workspace ids.

    Raises:
        ValueError: the file has another shape, or a workspace belongs to two accounts. Says what is wrong, in one line.
    """
    accounts = document.get("accounts")
    if set(document) != {"accounts"} or not isinstance(accounts, dict):
        raise ValueError('expected one table [accounts] with lines such as acme = ["workspace-1", "workspace-2"]')
    account_of: dict[str, str] = {}
    for account, workspaces in accounts.items():
        if not 1 <= len(account) <= _LONGEST or not account.isprintable() or account != account.strip():
            raise ValueError(f"{account!r}: the name of an account is a text of 1 to {_LONGEST} printable characters")
        if not isinstance(workspaces, list):
            raise ValueError(f"account {account!r}: expected a list of workspace ids")
        for workspace_id in workspaces:
            if not isinstance(workspace_id, str) or not _WORKSPACE_ID.fullmatch(workspace_id):
                raise ValueError(f"account {account!r}: {workspace_id!r} is no workspace id")
            known = account_of.setdefault(workspace_id, account)
            if known != account:
                raise ValueError(f"workspace {workspace_id!r} belongs to two accounts, {known!r} and {account!r}")
    return account_of
