"""A child: a hub, a router that masquerades and lets nothing in, and a site behind it whose reflector, one file, dials out. Prints JSON.

Started as `python -m tests.natted_line REFLECTOR RATE DIRECTION CONTRACT`; rates are of IP packets in bits per second.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import NEAR, NEAR_ROUTER, ShapedLine, Shaping
from probes import ProbeFailed, Secret, Shared, Target
from probes.bandwidth import Bandwidth, document

PORT = 8622
ROUTER = """
table ip netwatch {
  chain out { type nat hook postrouting priority 100; oifname "tonear" masquerade; }
  chain through { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "tofar" accept; }
  chain in { type filter hook input priority 0; policy drop; ct state established,related accept; }
}
"""


def build(rate):
    line = ShapedLine.build()
    shaped = Shaping(rate_bits_per_second=rate)
    line.shape(shaped, shaped)
    enter(line.near)  # what is started inherits it
    subprocess.run(["ip", "route", "delete", "default"], check=True, timeout=20)  # the hub knows the router alone
    enter(line.router)
    subprocess.run(["nft", "-f", "-"], check=True, timeout=20, input=ROUTER, text=True)
    return line


async def measure(name, direction, contract, **more):
    loop = asyncio.get_running_loop()
    shared = Shared()
    probe = Bandwidth(contract_bits_per_second=contract, direction=direction, **more)
    try:
        await probe.prepare(shared)
        return document(await probe.measure(Target(address=name, deadline=loop.time() + 60, secrets={"token": Secret("word")}), shared))
    except (ProbeFailed, OSError) as failed:
        return {"failed": getattr(failed, "code", type(failed).__name__)}
    finally:
        await shared.aclose()


def main(reflector, rate, direction, contract):
    line = build(float(rate))
    enter(line.far)
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text("word\n")
        command = [sys.executable, "-I", "-S", reflector, "--dial", f"{NEAR}:{PORT}", "--site", "na-tau", "--token-file", str(token)]
        with subprocess.Popen(command, cwd=folder) as dialler:
            enter(line.near)
            try:
                told = asyncio.run(measure("na-tau", direction, float(contract), dial_in_port=PORT))
                told["inbound"] = asyncio.run(measure(NEAR_ROUTER, direction, float(contract), port=8621))
                sys.stdout.write(json.dumps(told))
            finally:
                dialler.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
