"""The daemon of bench/round.py, as a process: an inventory, meetings to the second in a file beside it (read again on SIGHUP), a wall clock of its own."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from dataclasses import replace
from pathlib import Path

from netwatch import inventory
from netwatch.daemon import Daemon
from netwatch.model import Inventory, Meeting


def main(folder: Path, ahead_seconds: float) -> None:
    def load() -> Inventory:
        found = inventory.load(folder / "inventory.yaml", environment={"TOKEN": (folder / "token").read_text("ascii")})
        told = json.loads((folder / "meetings.json").read_text("ascii"))
        meetings = (Meeting(id=f"meeting-{begins:.0f}", matcher="", starts=begins, ends=ends) for begins, ends in told)
        return replace(found, meetings=tuple(meetings))

    logging.basicConfig(level=logging.INFO, format="%(created)f %(message)s")
    daemon = Daemon(
        inventory_path=folder / "inventory.yaml", state_directory=folder / "state", load=load, wall=lambda: time.time() + ahead_seconds
    )
    asyncio.run(daemon.run(signals=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
