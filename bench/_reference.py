"""What a stock iperf3 client measures in ten seconds: what tests by TCP are held against."""

from __future__ import annotations

import json
import subprocess

SECONDS, LEFT_OUT_SECONDS = 10, 1  # its slow start


def goodput_bits_per_second(address: str, port: int, direction: str) -> float:
    """One stream from the network this process is in; raises OSError with what the program said."""
    command = ["iperf3", "-c", address, "-p", str(port), "-t", str(SECONDS), "-O", str(LEFT_OUT_SECONDS), "-J"]
    if direction == "up":
        command.append("-R")
    ended = subprocess.run(command, capture_output=True, text=True, timeout=4 * SECONDS, check=False)
    told = json.loads(ended.stdout or "{}")
    if ended.returncode or "error" in told:
        raise OSError(told.get("error", ended.stderr.strip()))
    return float(told["end"]["sum_received"]["bits_per_second"])
