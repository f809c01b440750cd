"""Dumps of real devices, unpacked and played by snmpsim."""

import bz2
import collections
import contextlib
import os
import socket
import subprocess
import threading
import time
from pathlib import Path

from tests.dump_reader import MOVES, WANTED
from tests.snmp_agent import poll, probe

VENV = Path(__file__).parent.parent / ".venv-snmpsim"
FOLDERS = ("UPS", "network/router", "network/switch", "network/firewall", "network/wifi", "camera", "iot", "os/linux", "os/windows")
ALSO = ("network/appliance/cisco-controller", "network/appliance/tripplite-poweralert")  # they lie elsewhere


def library():
    return next(VENV.glob("lib/python3*/site-packages/snmpsim_data/data"))


def dumps():
    """name: file, of all the dumps of the kinds that a commune may have."""
    files = [file for folder in FOLDERS for file in sorted((library() / folder).glob("*.snmprec*"))]
    files += [file for name in ALSO for file in library().glob(f"{name}.snmprec*")]
    return {f"{file.parent.name}-{file.name.partition('.snmprec')[0]}": file for file in files}


def text_of(file):
    return bz2.decompress(file.read_bytes()) if file.suffix == ".bz2" else file.read_bytes()


def unpack(name, into):
    """Puts it where snmpsim finds it under this community; the records that the reader below needs."""
    text = text_of(dumps()[name])
    (into / f"{name}.snmprec").write_bytes(text)
    return dict(filter(None, map(record, text.split(b"\n"))))


def record(line):
    """`OID|tag|value`: tag 4 is text, 4x hexadecimal, 6 an OID; `:` in a tag says that the value moves."""
    if line.startswith(b"#") or line.count(b"|") < 2:
        return None
    oid, tag, value = line.rstrip(b"\r").decode("latin-1").split("|", 2)
    if not oid.startswith(WANTED):  # some dumps have three million records
        return None
    if ":" in tag:
        return oid, MOVES
    with contextlib.suppress(ValueError):
        if tag == "4x":
            return oid, bytes.fromhex(value)
        if tag in {"4", "6"}:
            return oid, value.encode("latin-1") if tag == "4" else value
        if tag in {"2", "65", "66", "67", "70"}:
            return oid, int(value)
    return oid, value


@contextlib.contextmanager
def simulator(folder, cache, patience_seconds=60):
    """The port of an agent that plays what lies in `folder`. It indexes the dumps first: a second for a megabyte."""
    assert VENV.is_dir(), "tests/install-snmpsim makes it"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    at = f"--agent-udpv4-endpoint=127.0.0.1:{port}"
    command = [VENV / "bin/snmpsim-command-responder", f"--data-dir={folder}", f"--cache-dir={cache}", at]
    environment = {**os.environ, "SNMPSIM_ALLOW_ROOT": "true"}  # it would give up root, which a user namespace does not allow
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cache, env=environment) as process:
        drain = threading.Thread(target=collections.deque, args=(process.stdout, 0))
        try:
            assert any("Listening at UDP/IPv4" in line for line in process.stdout)
            drain.start()  # it logs each request and would stop at a full pipe
            wait_until_bound(port, patience_seconds)
            yield port
        finally:
            process.kill()
            if drain.ident is not None:
                drain.join()


def wait_until_bound(port, patience_seconds):
    """It says that it listens a moment before it does: a closed port refuses, an open one is silent on rubbish."""
    deadline = time.monotonic() + patience_seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.connect(("127.0.0.1", port))
        asking.settimeout(0.1)
        while time.monotonic() < deadline:
            try:
                asking.send(b"?")
                asking.recv(1)
            except ConnectionRefusedError:
                continue
            except TimeoutError:
                return
    raise AssertionError("snmpsim did not open its port")


async def read_twice(port, name, profile="auto"):
    """By one probe, as the daemon does: rates and restarts need two readings."""
    snmp = probe(port, profile, timeout_seconds=20.0)
    return [await poll(snmp, seconds=280, community=name) for _ in range(2)]
