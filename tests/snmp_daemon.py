"""net-snmp's own agent for tests, and a man in the middle of the conversation with it."""

import asyncio
import contextlib
import hmac
import os
import socket
import subprocess

from netwatch.lab import ber
from probes import Secret, Shared, Target
from probes._snmp_user import Engines, User
from probes._wire.snmp import SIGNATURES, read_secured
from probes.snmp import Auth, Privacy, Snmp

AUTH, PRIVACY = "canary-auth-password", "canary-privacy-password"
QUIET = "dontLogTCPWrappersConnects yes"  # a log that nobody reads would fill its pipe and stop it
SECRETS = {"auth": Secret(AUTH), "privacy": Secret(PRIVACY)}


def free_udp_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def snmpd(folder, at, *lines):
    """Ready when it says its version. The same folder keeps its number of boots."""
    config = folder / "snmpd.conf"
    config.write_text("\n".join((f"agentaddress udp:127.0.0.1:{at}", QUIET, *lines, "")), "utf-8")
    state = str(folder / "state")
    environment = {**os.environ, "SNMP_PERSISTENT_DIR": state, "SNMPCONFPATH": state}
    command = ["/usr/sbin/snmpd", "-f", "-Lo", "-c", config, "-p", folder / "pid"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True) as agent:
        try:
            assert any("NET-SNMP version" in line for line in agent.stdout)
            yield agent
        finally:
            agent.terminate()  # it writes down how often it booted
            agent.communicate()


def forget(folder, *what):
    """Makes an agent that is stopped forget its users (`usmUser`), or its engine id too (`oldEngineID`, `engineBoots`)."""
    kept = folder / "state/snmpd.conf"
    kept.write_text("".join(line for line in kept.read_text("utf-8").splitlines(True) if not line.startswith(what)), "utf-8")


def users(auth=AUTH, privacy=PRIVACY):
    """`watcher` must encrypt; `signer` cannot."""
    return (
        f'createUser watcher SHA-256 "{auth}" AES "{privacy}"',
        "rouser watcher priv",
        f'createUser signer SHA-256 "{auth}"',
        "rouser signer auth",
        "sysName máy-chủ",
    )


def probe_v3(port, user="watcher", digest="sha256", cipher="aes128", **settings):
    """`cipher=None` does not encrypt."""
    return Snmp(
        profile="router",
        port=port,
        version="3",
        user=user,
        auth=Auth(protocol=digest),
        privacy=Privacy(protocol=cipher) if cipher else None,
        **{"timeout_seconds": 0.5, "retries": 1} | settings,
    )


async def poll_v3(snmp, shared=None, *, seconds=20.0, address="127.0.0.1", **secrets):
    """`auth` and `privacy` are other passwords than the agent's. `shared` keeps what is known of the engine for the next poll."""
    given = SECRETS | {name: Secret(value) for name, value in secrets.items()}
    own = shared or Shared()
    try:
        return await snmp.run(Target(address=address, deadline=asyncio.get_running_loop().time() + seconds, secrets=given), own)
    finally:
        if shared is None:
            await own.aclose()


class Middle(asyncio.DatagramProtocol):
    """Passes requests on to `agent`; `change(request, answer)` gives the datagrams that go back."""

    def __init__(self, agent, change):
        self.agent, self.change = agent, change
        self.requests = []

    def connection_made(self, transport):
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data, address):
        self.requests.append(data)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.connect(("127.0.0.1", self.agent))
            asking.settimeout(0.05)
            asking.send(data)
            try:
                answer = asking.recv(65535)
            except OSError:
                answer = b""
        for datagram in self.change(data, answer):
            if datagram:
                self.transport.sendto(datagram, address)


@contextlib.asynccontextmanager
async def in_the_middle(agent, change):
    made = await asyncio.get_running_loop().create_datagram_endpoint(lambda: Middle(agent, change), ("127.0.0.1", 0))
    try:
        yield made[1]
    finally:
        made[0].close()


def message_id(data):
    head = ber._Reader(ber._Reader(ber._Reader(data).take(0x30)[1]).data)
    head.take(0x02)
    return ber._Reader(head.take(0x30)[1]).take(0x02)[1]


def made_up(request, pdu, *, flags=0, password=None, boots=1, seconds=9, engine=None, user=None):
    """An answer to `request` in the clear, signed by whoever knows `password`. `pdu` is encoded."""
    asked = read_secured(request)
    engine = asked.engine_id if engine is None else engine
    size = SIGNATURES["sha256"] if password else 0

    def whole(signature):
        head = ber.tagged(0x02, message_id(request)) + ber.integer(65507) + ber.text(bytes((flags,))) + ber.integer(3)
        security = ber.text(engine) + ber.integer(boots) + ber.integer(seconds) + ber.text(asked.user if user is None else user)
        scoped = ber.tagged(0x30, ber.text(engine) + ber.text("") + pdu)
        security = ber.text(ber.tagged(0x30, security + ber.text(signature) + ber.text("")))
        return ber.tagged(0x30, ber.integer(3) + ber.tagged(0x30, head) + security + scoped)

    blank = whole(bytes(size))
    if not password:
        return blank
    key = Engines().keys(engine, User("x", "sha256", Secret(password))).auth
    return whole(hmac.digest(key, blank, "sha256")[:size])


def report(oid):
    """The PDU of a Report with one counter."""
    binding = ber.tagged(0x30, ber.object_id(ber.parse_oid(oid)) + ber.counter32(1))
    return ber.tagged(0xA8, ber.integer(0) * 3 + ber.tagged(0x30, binding))


def response(oid, value):
    binding = ber.tagged(0x30, ber.object_id(ber.parse_oid(oid)) + value)
    return ber.tagged(ber.RESPONSE, ber.integer(0) * 3 + ber.tagged(0x30, binding))
