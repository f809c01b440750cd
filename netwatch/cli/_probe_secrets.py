"""What a device wants to hear before it tells anything, from a file or the environment; never as an option, which all could read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from netwatch.cli import _output
from netwatch.cli._output import Exit, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from probes import Probe, Secret

__all__ = ["found", "variable"]


def variable(kind: str, name: str) -> str:
    """Such as NETWATCH_POLY_PASSWORD."""
    return f"NETWATCH_{kind}_{name}".upper()


def found(kind: str, probe: Probe, files: Mapping[str, Path | None]) -> Mapping[str, Secret]:
    """Those the probe needs as it is set; ends the command where one is missing."""
    from probes import Secret

    secrets = {}
    for name in probe.needs():
        file = files[name]
        given = os.environ.get(variable(kind, name), "") if file is None else _content(file)
        if not given:
            _output.fail(Exit.USAGE, text("probe.no_secret", variable=variable(kind, name), option=f"--{name.replace('_', '-')}-file"))
        secrets[name] = Secret(given)
    return secrets


def _content(file: Path) -> str:
    try:
        content = file.read_text("utf-8").strip()
    except PermissionError:
        _output.fail(Exit.NO_PERMISSION, text("snmp.file_denied", file=file))
    except (OSError, UnicodeDecodeError):
        content = ""
    if not content:
        _output.fail(Exit.NO_INPUT, text("probe.secret_file", file=file))
    return content
