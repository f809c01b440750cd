"""What a device wants to hear before it answers SNMP: a community or passwords, from a file or the environment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from netwatch.cli import _output
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probes import Secret

__all__ = ["AUTH_VARIABLE", "COMMUNITY_VARIABLE", "PRIVACY_VARIABLE", "by_community", "by_passwords"]

COMMUNITY_VARIABLE = "NETWATCH_SNMP_COMMUNITY"
AUTH_VARIABLE = "NETWATCH_SNMP_AUTH_PASSWORD"
PRIVACY_VARIABLE = "NETWATCH_SNMP_PRIVACY_PASSWORD"
SHORTEST_PASSWORD = 8  # RFC 3414 section 11.2


def by_community(given: str, file: Path | None) -> Mapping[str, Secret]:
    """From the option, the file or the environment, in this order."""
    from probes import Secret

    found = given or _read(file, COMMUNITY_VARIABLE)
    if not found:
        _output.fail(Exit.USAGE, text("snmp.no_community", variable=COMMUNITY_VARIABLE))
    return {"community": Secret(found)}


def by_passwords(auth_file: Path | None, privacy_file: Path | None, *, private: bool) -> Mapping[str, Secret]:
    """From files or the environment; never as an option, which all users of the host could read."""
    from probes import Secret

    wanted = [("auth", auth_file, AUTH_VARIABLE)]
    if private:
        wanted.append(("privacy", privacy_file, PRIVACY_VARIABLE))
    secrets = {}
    for name, file, variable in wanted:
        found = _read(file, variable)
        if len(found) < SHORTEST_PASSWORD:
            _output.fail(Exit.USAGE, text("snmp.no_password", variable=variable, option=f"--{name}-password-file", limit=SHORTEST_PASSWORD))
        secrets[name] = Secret(found)
    return secrets


def _read(file: Path | None, variable: str) -> str:
    if file is None:
        return os.environ.get(variable, "")
    try:
        lines = file.read_text("utf-8").splitlines()
    except PermissionError:
        _output.fail(Exit.NO_PERMISSION, text("snmp.file_denied", file=file))
    except (OSError, UnicodeDecodeError):
        _output.fail(Exit.NO_INPUT, text("snmp.file", file=file))
    if not lines or not lines[0].strip():
        _output.fail(Exit.NO_INPUT, text("snmp.file", file=file))
    return lines[0].strip()
