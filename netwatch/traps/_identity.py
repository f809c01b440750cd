"""Who we are to senders of informs, the same over restarts."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from netwatch.traps._notification import Identity
from netwatch.whole_file import write_whole

__all__ = ["next_identity"]

FILE = "traps.json"
ENTERPRISE = b"\x80\x00\x4f\xb8\x05"  # RFC 3411, SnmpEngineID: pysnmp's enterprise number 20408, then octets of our own making
MOST_BOOTS = 2**31 - 2


def next_identity(state_directory: Path) -> Identity:
    """The one of the last start with one boot more, written before it is used. A file that cannot be read is a new engine. Raises OSError."""
    path = state_directory / FILE
    identity = Identity(ENTERPRISE + secrets.token_bytes(8), 1)
    try:
        stored = json.loads(path.read_text("utf-8"))
        engine_id, boots = bytes.fromhex(stored["engine_id"]), int(stored["boots"])
        if engine_id.startswith(ENTERPRISE) and len(engine_id) == len(identity.engine_id) and 0 < boots < MOST_BOOTS:
            identity = Identity(engine_id, boots + 1)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    write_whole(path, json.dumps({"engine_id": identity.engine_id.hex(), "boots": identity.boots}).encode())
    return identity
