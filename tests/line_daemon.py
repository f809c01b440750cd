"""A child: the daemon, with meetings to the second and a wall clock that others set, both in files of its folder.

Started as `python -m tests.line_daemon FOLDER`. In there: `inventory.yaml`; `token`; `meetings.json`, pairs of wall times, read with the inventory;
`ahead`, by how many seconds its clock is ahead, as a number of eight bytes. It answers at `api.sock` and keeps its state in `state`.
"""

import asyncio
import json
import logging
import mmap
import struct
import sys
import time
from dataclasses import replace
from pathlib import Path

from netwatch import inventory
from netwatch.daemon import Daemon
from netwatch.model import Meeting

AHEAD = struct.Struct("d")


def set_ahead(folder: Path, seconds: float) -> None:
    """In place: the daemon has it mapped."""
    path = folder / "ahead"
    with path.open("r+b" if path.exists() else "wb") as file:
        file.write(AHEAD.pack(seconds))


def main(folder: Path) -> None:
    def load():
        found = inventory.load(folder / "inventory.yaml", environment={"TOKEN": (folder / "token").read_text("ascii")})
        told = json.loads((folder / "meetings.json").read_text("ascii"))
        meetings = (Meeting(id=f"meeting-{begins:.0f}", matcher="", starts=begins, ends=ends) for begins, ends in told)
        return replace(found, meetings=tuple(meetings))

    logging.basicConfig(level=logging.INFO, format="%(created)f %(message)s")
    with (folder / "ahead").open("rb") as file, mmap.mmap(file.fileno(), AHEAD.size, prot=mmap.PROT_READ) as ahead:
        daemon = Daemon(
            inventory_path=folder / "inventory.yaml",
            state_directory=folder / "state",
            load=load,
            control_path=folder / "api.sock",
            wall=lambda: time.time() + AHEAD.unpack_from(ahead)[0],
        )
        asyncio.run(daemon.run(signals=True))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
