"""A child: a line that the kernel shapes, with a RouterOS router as documented at its far end, and one test. Prints the outcome as JSON.

Started as `python -m tests.shaped_router FOLDER RATE CPU CONTRACT`; rates are of IP packets in bits per second, CPU is a percentage.
With FOLDER alone it is the router.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import FAR, ShapedLine, Shaping
from probes import Secret, Shared, Target
from probes.bandwidth import Bandwidth, document
from tests.certificates import Authority
from tests.routeros import PASSWORD, USER, RouterOs, fetch


def stand(folder, cpu):
    """Until its parent has gone."""
    authority = Authority(folder)
    server = RouterOs(
        authority.server(names=f"IP:{FAR}"), fetches=lambda url: fetch(url, source=FAR), loads=[3, int(cpu)], cores=1, host=FAR
    )
    with server as router:
        sys.stdout.write(f"{router.port}\n")
        sys.stdout.flush()
        sys.stdin.read()


async def measure(port, folder, contract):
    loop = asyncio.get_running_loop()
    probe = Bandwidth(
        contract_bits_per_second=contract, direction="down", method="router", port=port, user=USER, ca_file=str(folder / "ca.pem")
    )
    shared = Shared()
    try:
        return await probe.measure(Target(address=FAR, deadline=loop.time() + 60, secrets={"password": Secret(PASSWORD)}), shared)
    finally:
        await shared.aclose()


def main(folder, rate, cpu, contract):
    line = ShapedLine.build()
    shaped = Shaping(rate_bits_per_second=float(rate), burst_bytes=30_000)
    line.shape(shaped, shaped)
    enter(line.far)  # what is started inherits it
    command = [sys.executable, "-m", "tests.shaped_router", str(folder), cpu]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as router:
        enter(line.near)
        port = int(router.stdout.readline())
        sys.stdout.write(json.dumps(document(asyncio.run(measure(port, folder, float(contract))))))
        router.stdin.close()


if __name__ == "__main__":
    (stand if len(sys.argv) == 3 else main)(Path(sys.argv[1]), *sys.argv[2:])
