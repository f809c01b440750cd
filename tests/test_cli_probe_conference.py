"""`netwatch probe sip|h323|poly|pexip` as a person types it."""

import asyncio
import json
import time

import pytest

from netwatch.lab import h323, poly
from netwatch.lab import pexip as lab
from tests.certificates import Authority
from tests.https_peer import https
from tests.sip_peer import Scripted, reply
from tests.test_cli_probe import netwatch

pytestmark = pytest.mark.needs_private_network


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def test_sip_tells_what_was_answered():
    async def scenario():
        async with Scripted(lambda request, _: [reply(request, "486 Busy Here", Server="room")]).listening() as peer:
            return await asyncio.to_thread(netwatch, "sip", "127.0.0.1", "--port", str(peer.port), "--json")

    found = json.loads(asyncio.run(scenario()).stdout)
    assert (found["outcome"], found["facts"]) == ("ok", {"sip_status": "486 Busy Here", "sip_server": "room"})


def of_pexip(authority, *options, environment=()):
    platform = lab.Platform(worker_vm=[lab.node("nut-1", time.time())], registration_alias=[lab.registration("na-tau@lab")])

    async def scenario():
        manager = lab.Manager(lambda: platform, time.monotonic)
        async with https(manager.handle, authority.server()) as port:
            asked = ("pexip", "127.0.0.1", "--port", str(port), "--user", lab.USER, "--ca-file", str(authority.file), *options)
            return await asyncio.to_thread(netwatch, *asked)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment:
            patch.setenv(name, value)
        return asyncio.run(scenario())


def test_pexip_takes_its_password_from_a_file(authority, tmp_path):
    (tmp_path / "password").write_text(f"{lab.PASSWORD}\n")
    done = of_pexip(authority, "--password-file", str(tmp_path / "password"), "--rooms", "na-tau@lab", "--json")
    samples = {(one["name"], one["instance"]): one["values"] for one in json.loads(done.stdout)["samples"]}
    assert samples["pexip_room_registered", "na-tau@lab"] == [1.0]


def test_pexip_takes_its_password_from_the_environment(authority):
    done = of_pexip(authority, environment=[("NETWATCH_PEXIP_PASSWORD", lab.PASSWORD)])
    assert done.returncode == 0, done.stderr
    assert "nut-1" in done.stdout


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ((), 64, "NETWATCH_PEXIP_PASSWORD"),
        (("--client-id", "x"), 64, "NETWATCH_PEXIP_PRIVATE_KEY"),
        (("--password-file", "/nowhere"), 66, "/nowhere"),
        (("--password-file", "/dev/null"), 66, "/dev/null"),
    ],
)
def test_without_a_password_it_says_how_to_give_one(authority, options, code, says):
    done = of_pexip(authority, *options)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr


def test_a_wrong_password_is_told_and_not_shown(authority):
    done = of_pexip(authority, environment=[("NETWATCH_PEXIP_PASSWORD", "canary")])
    assert done.returncode == 1
    assert "login_refused" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_poly_logs_in_with_a_password_from_a_file(authority, tmp_path):
    (tmp_path / "password").write_text(poly.PASSWORD)
    room = poly.Room(lambda: poly.RoomState(rate_kilobits=1920))

    async def scenario():
        async with https(room.handle, authority.server()) as port:
            asked = ("poly", "127.0.0.1", "--port", str(port), "--password-file", str(tmp_path / "password"), "--verify", "false", "--json")
            return await asyncio.to_thread(netwatch, *asked)

    found = json.loads(asyncio.run(scenario()).stdout)
    values = {(one["name"], one["instance"]): one["values"] for one in found["samples"]}
    assert (found["outcome"], found["facts"]["model"]) == ("ok", "RealPresence Group 500")
    assert (values["poly_in_call", ""], values["poly_registered", ""]) == ([1.0], [1.0])
    assert room.sessions == set()


def test_h323_opens_the_port_and_asks_the_gatekeeper():
    async def scenario():
        async def hold(reader, writer):
            await reader.read()
            writer.close()

        loop = asyncio.get_running_loop()
        ras, _ = await loop.create_datagram_endpoint(lambda: h323.Gatekeeper(lambda: ("na-tau",)), local_addr=("127.0.0.1", 0))
        async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
            ports = ("--port", str(server.sockets[0].getsockname()[1]), "--ras-port", str(ras.get_extra_info("sockname")[1]))
            done = await asyncio.to_thread(netwatch, "h323", "127.0.0.1", *ports, "--lookup", "na-tau", "--json")
            alone = await asyncio.to_thread(netwatch, "h323", "127.0.0.1", "--port", "none", *ports[2:], "--json")
        ras.close()
        return json.loads(done.stdout), json.loads(alone.stdout)

    found, alone = asyncio.run(scenario())
    assert alone["outcome"] == "ok"
    assert "h323_connect_seconds" not in {one["name"] for one in alone["samples"]}
    values = {one["name"]: one["values"] for one in found["samples"]}
    assert (found["facts"], values["h323_registered"]) == ({"h323_gatekeeper": "GK-LAB"}, [1.0])
