"""A child: a line that the kernel shapes, a reflector and an iperf3 server at its far end, a full test and ten seconds of iperf3.

Started as `python -m tests.full_line RATE DIRECTION CONTRACT METHOD`; rates are of IP packets in bits per second. Prints both as JSON.
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

QUEUE_BYTES = 200_000
SECONDS = 6
IPERF3_SECONDS = 10


async def measure(port, direction, contract, method):
    loop = asyncio.get_running_loop()
    probe = Bandwidth(contract_bits_per_second=contract, direction=direction, port=port, method=method, full=True, max_seconds=SECONDS)
    return await probe.measure(Target(address=FAR, deadline=loop.time() + 60, secrets={"token": Secret("word")}))


def main(rate, direction, contract, method):
    line = ShapedLine.build()
    shaped = Shaping(rate_bits_per_second=float(rate), queue_bytes=QUEUE_BYTES)
    line.shape(shaped, shaped)
    environment = {**os.environ, "NETWATCH_LINE_TOKEN": "word", "LANG": "en"}
    reflecting = [sys.executable, "-m", "netwatch", "reflector", "--listen", f"{FAR}:0"]
    serving = ["iperf3", "--server", "--bind", FAR, "--forceflush"]
    enter(line.far)  # what is started inherits it
    with (
        subprocess.Popen(reflecting, stderr=subprocess.PIPE, text=True, env=environment) as reflector,
        subprocess.Popen(serving, stdout=subprocess.PIPE, text=True) as server,
    ):
        enter(line.near)
        try:
            port = int(reflector.stderr.readline().rpartition(":")[2])
            while "listening" not in server.stdout.readline():
                pass
            found = document(asyncio.run(measure(port if method == "tcp" else None, direction, float(contract), method)))
            del found["bins"]
            asked = ["iperf3", "--client", FAR, "--time", str(IPERF3_SECONDS), "--parallel", "8", "--json"]
            told = subprocess.run([*asked, *(["--reverse"] if direction == "up" else [])], capture_output=True, timeout=60, check=True)
            received = json.loads(told.stdout)["end"]["sum_received"]["bits_per_second"]
            sys.stdout.write(json.dumps({"found": found, "iperf3_bits_per_second": received}))
        finally:
            reflector.terminate()
            server.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
