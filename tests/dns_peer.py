"""Resolvers on loopback: NSD, a real one, and a scripted one for what a real one would never say."""

import asyncio
import contextlib
import subprocess
from dataclasses import dataclass, field

import dns.message

NSD = ("127.0.53.1", 5300)
CONFIG = """
server:
  ip-address: {address}@{port}
  username: ""
  chroot: ""
  pidfile: ""
  database: ""
  zonesdir: "{folder}"
  zonelistfile: "{folder}/zone.list"
  xfrdfile: "{folder}/xfrd.state"
  xfrdir: "{folder}"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: example
  zonefile: example.zone
zone:
  name: 45.10.in-addr.arpa
  zonefile: reverse.zone
zone:
  name: broken
  zonefile: not-there.zone
"""
EXAMPLE = f"""$ORIGIN example.
$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
ns A 127.0.53.1
www A 10.45.1.2
www A 10.45.1.1
www AAAA 2001:db8::1
portal 60 CNAME www
@ MX 20 mail2
@ MX 10 Mail1
_sip._udp SRV 0 5 5060 sip
text TXT "v=spf1 -all" " more"
big TXT {" ".join(['"' + "x" * 200 + '"'] * 6)}
loop CNAME pool
pool CNAME loop
dangling CNAME nowhere.elsewhere.
"""
REVERSE = """$ORIGIN 45.10.in-addr.arpa.
$TTL 300
@ SOA ns.example. hostmaster.example. 1 3600 600 86400 60
@ NS ns.example.
1.1 PTR router.example.
"""


@contextlib.contextmanager
def nsd(folder):
    """Gives the address and port. It knows `example`, refuses what it is not asked to know, and fails at `broken`."""
    (folder / "nsd.conf").write_text(CONFIG.format(folder=folder, address=NSD[0], port=NSD[1]))
    (folder / "example.zone").write_text(EXAMPLE)
    (folder / "reverse.zone").write_text(REVERSE)
    command = ["nsd", "-d", "-c", folder / "nsd.conf"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = []
            for line in server.stderr:
                said.append(line)
                if "nsd started" in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield NSD
        finally:
            server.terminate()
            server.stderr.read()


@dataclass
class Scripted:
    """Sends what the scripts make of each question: `udp(question)` gives datagrams, `tcp(question)` a stream of bytes or None."""

    udp: object
    tcp: object = None
    asked: list = field(default_factory=list)
    peers: list = field(default_factory=list)
    port: int = 0

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _error):
        pass

    def error_received(self, _error):
        pass

    def datagram_received(self, data, peer):
        self.asked.append(dns.message.from_wire(data))
        self.peers.append(peer)
        for answer in self.udp(data):
            self._transport.sendto(answer, peer)

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            data = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
            self.asked.append(dns.message.from_wire(data))
            self.peers.append(writer.get_extra_info("peername"))
            answer = self.tcp(data)
            if answer is None:
                await reader.read()
            else:
                writer.write(answer)
                await writer.drain()
        writer.transport.abort()

    @contextlib.asynccontextmanager
    async def listening(self):
        async with contextlib.AsyncExitStack() as stack:
            listener = None
            if self.tcp is not None:
                listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
                stack.callback(listener.close)
                self.port = listener.sockets[0].getsockname()[1]
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", self.port))
            stack.callback(transport.close)
            self.port = transport.get_extra_info("sockname")[1]
            try:
                yield self
            finally:
                await asyncio.sleep(0)
