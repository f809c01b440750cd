"""SIP servers on loopback: sipp, a real one (whose Debian build speaks no TLS), and a scripted one for what it would never say."""

import asyncio
import contextlib
import re
import socket
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

SIPP = ("127.0.54.1", 5060)
ANSWER = """  <send><![CDATA[
    SIP/2.0 {status}
    {via}
    [last_From:]
    [last_To:];tag=[call_number]
    {call_id}
    {cseq}
    {more}
    Server: sipp
    Content-Length: 0

  ]]></send>
"""


def answer(status, more="Allow: INVITE, OPTIONS", via="[last_Via:]", call_id="[last_Call-ID:]", cseq="[last_CSeq:]"):
    return ANSWER.format(status=status, more=more, via=via, call_id=call_id, cseq=cseq)


def scenario(*steps):
    body = "".join(steps)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="options">\n  <recv request="OPTIONS"/>\n{body}</scenario>\n'


def pause(milliseconds):
    return f'  <pause milliseconds="{milliseconds}"/>\n'


def _is_open(address, transport):
    """Whether somebody listens, as /proc tells; asking would be a call of its own."""
    wanted = f"{int.from_bytes(socket.inet_aton(address[0]), 'little'):08X}:{address[1]:04X}"
    table = Path(f"/proc/net/{transport}").read_text("ascii")
    return any(line.split()[1] == wanted for line in table.splitlines()[1:])


@contextlib.contextmanager
def sipp(folder, *steps, transport="udp", address=SIPP):
    """Answers as the steps say, until the end."""
    file = folder / "scenario.xml"
    file.write_text(scenario(*steps))
    mode = {"udp": "u1", "tcp": "t1"}[transport]
    command = ["sipp", "-sf", file, "-i", address[0], "-p", str(address[1]), "-t", mode, "-nostdin", "-nd"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder) as server:
        try:
            while not _is_open(address, transport):
                assert server.poll() is None, server.stderr.read()
            yield address
        finally:
            server.kill()


def reply(request, status="200 OK", **headers):
    """A right answer to the bytes of a request; `headers` replace what it would have, None leaves one out."""
    found = dict(re.findall(r"(?m)^(Via|From|To|Call-ID|CSeq): (.*)\r$", request.decode()))
    found |= {"Content-Length": "0"}
    found |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"SIP/2.0 {status}", *(f"{name}: {value}" for name, value in found.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


@dataclass
class Scripted:
    """Sends what `script(request, how_many_before)` makes of each request: a list of bytes, sent one by one; None ends a connection."""

    script: object
    tls: object = None
    asked: list = field(default_factory=list)
    port: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport):
        self._transport = transport

    def connection_lost(self, _error):
        pass

    def error_received(self, _error):
        pass

    def datagram_received(self, data, peer):
        self.asked.append(data)
        for part in self.script(data, len(self.asked) - 1):
            self._transport.sendto(part, peer)

    async def _serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            data = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(data)
            for part in self.script(data, 0):
                if part is None:
                    break
                writer.write(part)
                await writer.drain()
            else:
                await reader.read()
                self.closed.set()
        writer.transport.abort()

    @contextlib.asynccontextmanager
    async def listening(self, transport="udp"):
        if transport == "udp":
            made, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
            self.port = made.get_extra_info("sockname")[1]
        else:
            made = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
            self.port = made.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            made.close()
            await asyncio.sleep(0)
