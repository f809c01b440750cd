import asyncio
import contextlib
import errno
import resource
import socket

import pytest

import probes
from probes import ProbeFailed, Shared, Target
from probes.tcp import Tcp

pytestmark = pytest.mark.needs_private_network


@contextlib.contextmanager
def listening(address="127.0.0.1", family=socket.AF_INET):
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind((address, 0))
        server.listen()
        server.settimeout(10)
        yield server, server.getsockname()[1]


def measure(address, port, source=None):
    async def scenario():
        async with asyncio.timeout(10):
            return await Tcp(port=port).run(Target(address, asyncio.get_running_loop().time() + 10, source), Shared())

    return asyncio.run(scenario())


def test_the_type_keeps_the_contract():
    assert probes.get("tcp") is Tcp


def test_an_open_port_gives_the_connect_time():
    with listening() as (_server, port):
        reading = measure("127.0.0.1", port)
    (sample,) = reading.samples
    assert sample.name in Tcp(port=1).metrics()
    assert 0 < sample.values[0] < 10


def test_ipv6_is_measured_as_well():
    with listening("::1", socket.AF_INET6) as (_server, port):
        assert measure("::1", port).samples


def test_the_connection_comes_from_the_source_address():
    with listening() as (server, port):
        measure("127.0.0.1", port, source="127.0.0.9")
        connection, peer = server.accept()
        connection.close()
    assert peer[0] == "127.0.0.9"


def test_nothing_is_sent_and_the_connection_is_closed():
    with listening() as (server, port):
        measure("127.0.0.1", port)
        connection, _ = server.accept()
        with connection:
            assert connection.recv(100) == b""


def test_a_closed_port_is_a_refused_connection():
    with listening() as (_server, port):
        pass
    with pytest.raises(ConnectionRefusedError):
        measure("127.0.0.1", port)


def test_no_route_propagates_as_it_is_for_the_runner_to_judge():
    with pytest.raises(OSError, match="unreachable") as caught:
        measure("192.0.2.1", 80)
    assert caught.value.errno == errno.ENETUNREACH


def test_running_out_of_descriptors_propagates_as_our_own_fault():
    async def scenario():
        loop = asyncio.get_running_loop()
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (1, before[1]))
        try:
            with pytest.raises(OSError, match="open files") as caught:
                await Tcp(port=9).run(Target("127.0.0.1", loop.time() + 10), Shared())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert caught.value.errno == errno.EMFILE

    asyncio.run(scenario())


def test_a_server_that_never_answers_ends_with_the_deadline_and_leaks_nothing():
    async def scenario(port):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await Tcp(port=port).run(Target("127.0.0.1", 0), Shared())

    with socket.socket() as server, contextlib.ExitStack() as stack:
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        # With the backlog full the kernel drops further SYNs: nobody answers.
        for _ in range(4):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        asyncio.run(scenario(server.getsockname()[1]))


def test_a_name_is_looked_up():
    with listening() as (_server, port):
        assert measure("localhost", port).samples


@pytest.mark.parametrize("name", ["not a name", "a" * 80 + ".invalid"])
def test_a_name_that_does_not_exist_is_the_targets_fault(name):
    with pytest.raises(ProbeFailed) as caught:
        measure(name, 80)
    assert caught.value.code == "resolve"


def test_a_resolver_that_does_not_answer_is_our_own_fault():
    with pytest.raises(socket.gaierror) as caught:
        measure("router.invalid", 80)
    assert caught.value.errno == socket.EAI_AGAIN


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_out_of_range_is_refused_by_the_schema(port):
    from pydantic import TypeAdapter, ValidationError

    with pytest.raises(ValidationError):
        TypeAdapter(Tcp).validate_json(f'{{"port": {port}}}')
