"""A child: a hub, a router that masquerades and lets nothing in, and a site behind it whose reflector, one file, dials out. Prints JSON.

Started as `python -m tests.natted_line REFLECTOR RATE DIRECTION CONTRACT`; rates are of IP packets in bits per second.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from netwatch.lab.namespaces import enter, enter_private_network, unshare_network
from probes import ProbeFailed, Secret, Shared, Target
from probes.bandwidth import Bandwidth, document
from tests.shaped_line import FRAME_BYTES, IP_BYTES, QUEUE_BYTES

HUB, OUTSIDE, INSIDE, SITE = "198.51.100.1", "198.51.100.2", "10.45.7.1", "10.45.7.9"
PORT = 8622
ROUTER = """
table ip netwatch {
  chain out { type nat hook postrouting priority 100; oifname "outside" masquerade; }
  chain through { type filter hook forward priority 0; policy drop; ct state established,related accept; iifname "inside" accept; }
  chain in { type filter hook input priority 0; policy drop; ct state established,related accept; }
}
"""


def run(namespace, command, text=None):
    enter(namespace)  # what is started inherits it
    subprocess.run(command.split(), check=True, timeout=20, input=text, text=True, stdout=subprocess.DEVNULL)


def shape(namespace, device, rate):
    frames = round(rate * FRAME_BYTES / IP_BYTES)
    run(namespace, f"tc qdisc add dev {device} root tbf rate {frames}bit burst 10000 limit {QUEUE_BYTES}")


def build(hub, router, site, rate):
    here = f"/proc/{os.getpid()}/fd"
    run(router, f"ip link add outside type veth peer name wire netns {here}/{hub}")
    run(router, f"ip link add inside type veth peer name lan netns {here}/{site}")
    for namespace, device, address in ((hub, "wire", HUB), (router, "outside", OUTSIDE), (router, "inside", INSIDE), (site, "lan", SITE)):
        run(namespace, f"ip address add {address}/24 dev {device}")
        run(namespace, f"ip link set {device} up")
    run(site, f"ip route add default via {INSIDE}")
    run(router, "tee /proc/sys/net/ipv4/ip_forward", "1")
    run(router, "nft -f -", ROUTER)
    shape(router, "outside", rate)
    shape(router, "inside", rate)


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
    enter_private_network()
    hub = os.open("/proc/self/ns/net", os.O_RDONLY)
    router, site = unshare_network(), unshare_network()
    build(hub, router, site, float(rate))
    enter(site)
    with tempfile.TemporaryDirectory() as folder:
        token = Path(folder) / "token"
        token.write_text("word\n")
        command = [sys.executable, "-I", "-S", reflector, "--dial", f"{HUB}:{PORT}", "--site", "na-tau", "--token-file", str(token)]
        with subprocess.Popen(command, cwd=folder) as dialler:
            enter(hub)
            try:
                told = asyncio.run(measure("na-tau", direction, float(contract), dial_in_port=PORT))
                told["inbound"] = asyncio.run(measure(OUTSIDE, direction, float(contract), port=8621))
                sys.stdout.write(json.dumps(told))
            finally:
                dialler.terminate()


if __name__ == "__main__":
    main(*sys.argv[1:])
