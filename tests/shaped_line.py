"""A child: a line that the kernel shapes, a reflector at its far end and one test. Prints the outcome as JSON.

Started as `python -m tests.shaped_line RATE BURST_BYTES DIRECTION CONTRACT [METHOD]`; rates are of IP packets in bits per second.
"""

import asyncio
import json
import os
import subprocess
import sys

from netwatch.lab.namespaces import enter
from netwatch.lab.shaped import FAR, ShapedLine, Shaping
from probes import Secret, Target
from probes.bandwidth import Bandwidth, document


async def measure(port, direction, contract, method):
    loop = asyncio.get_running_loop()
    probe = Bandwidth(contract_bits_per_second=contract, direction=direction, port=port, method=method)
    return await probe.measure(Target(address=FAR, deadline=loop.time() + 60, secrets={"token": Secret("word")}))


def main(rate, burst, direction, contract, method="udp"):
    line = ShapedLine.build()
    shaped = Shaping(rate_bits_per_second=float(rate), burst_bytes=int(burst))
    line.shape(shaped, shaped)
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": "word", "LANG": "en"}
    command = [sys.executable, "-m", "netwatch", "reflector", "--listen", f"{FAR}:0"]
    enter(line.far)  # what is started inherits it
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as reflector:
        enter(line.near)
        try:
            port = int(reflector.stderr.readline().rpartition(":")[2])
            sys.stdout.write(json.dumps(document(asyncio.run(measure(port, direction, float(contract), method)))))
        finally:
            reflector.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
