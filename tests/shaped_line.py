"""A child: its own network namespace, whose loopback the kernel shapes, a reflector and one test. Prints the outcome as JSON.

Started as `python -m tests.shaped_line RATE BURST_BYTES DIRECTION CONTRACT`; rates are of IP packets in bits per second.
"""

import asyncio
import json
import os
import subprocess
import sys

from netwatch.lab.namespaces import enter_private_network
from probes import Secret, Target
from probes.bandwidth import Bandwidth, document

IP_BYTES, FRAME_BYTES = 1400, 1414  # tbf counts the Ethernet header
QUEUE_BYTES = 200_000


def shape(rate, burst):
    frames = f"{round(rate * FRAME_BYTES / IP_BYTES)}bit"
    subprocess.run(
        ["tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", frames, "burst", str(burst), "limit", str(QUEUE_BYTES)],
        check=True,
        timeout=20,
    )


async def measure(port, direction, contract):
    loop = asyncio.get_running_loop()
    probe = Bandwidth(contract_bits_per_second=contract, direction=direction, port=port)
    return await probe.measure(Target(address="127.0.0.1", deadline=loop.time() + 60, secrets={"token": Secret("word")}))


def main(rate, burst, direction, contract):
    enter_private_network()
    shape(float(rate), int(burst))
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": "word", "LANG": "en"}
    command = [sys.executable, "-m", "netwatch", "reflector", "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as reflector:
        try:
            port = int(reflector.stderr.readline().rpartition(":")[2])
            sys.stdout.write(json.dumps(document(asyncio.run(measure(port, direction, float(contract))))))
        finally:
            reflector.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
