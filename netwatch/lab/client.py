"""Talks to a running lab over its control socket: one line of JSON each way."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["LabAway", "ask"]

PATIENCE_SECONDS = 5.0


class LabAway(Exception):
    """No lab answers on that socket."""


def ask(control_path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """Sends `{"fault": {…}}`, or `{}` for the state alone, and gives the answer. Raises LabAway."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE_SECONDS)
            connection.connect(str(control_path))
            with connection.makefile("rwb") as stream:
                stream.write(json.dumps(request).encode() + b"\n")
                stream.flush()
                answer = json.loads(stream.readline())
    except (OSError, ValueError) as error:
        raise LabAway(f"{control_path}: {error}") from None
    return dict(answer)
