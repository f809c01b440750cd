import asyncio
import contextlib
import os
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netwatch.watchdog import PARTS, Notifier, Watchdog, stalled


@contextlib.contextmanager
def manager(address):
    """The service manager's end: gives a function that returns the next message."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind("\0" + address[1:] if address.startswith("@") else address)
        server.settimeout(10)
        yield lambda: server.recv(4096).decode(), server


@pytest.fixture
def address(tmp_path):
    return str(tmp_path / "notify.sock")


def test_each_state_is_said_in_the_words_of_sd_notify(address):
    with manager(address) as (heard, _server):
        notifier = Notifier.from_environment({"NOTIFY_SOCKET": address})
        notifier.ready()
        notifier.stopping()
        notifier.alive()
        notifier.status("45 sites,\n2 incidents")
        assert [heard() for _ in range(4)] == ["READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=45 sites, 2 incidents"]


def test_a_reload_carries_the_monotonic_time_it_began(address):
    before = time.monotonic_ns() // 1000
    with manager(address) as (heard, _server):
        Notifier(address).reloading()
        first, second = heard().split("\n")
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.monotonic_ns() // 1000


def test_an_abstract_socket_is_reached():
    name = f"@netwatch-test-{os.getpid()}"
    with manager(name) as (heard, _server):
        Notifier(name).ready()
        assert heard() == "READY=1"


def test_without_a_manager_or_with_one_that_is_gone_nothing_happens(address):
    Notifier.from_environment({}).ready()
    Notifier(address).ready()


def test_a_manager_that_does_not_listen_does_not_hold_us_up(address):
    with manager(address):
        for _ in range(2000):
            Notifier(address).alive()


def watchdog_on(address, interval_seconds=60.0):
    watchdog = Watchdog(Notifier(address), interval_seconds)
    return watchdog, asyncio.get_running_loop().time()


def test_it_is_fed_while_every_part_gets_on_and_not_when_one_hangs(address):
    async def scenario(heard):
        watchdog, start = watchdog_on(address)
        assert watchdog.beat(start + 59)
        for part in PARTS:
            watchdog.progress(part, start + 59)
        watchdog.progress("scheduler", start + 100)
        watchdog.progress("delivery", start + 100)
        assert watchdog.beat(start + 118)
        assert not watchdog.beat(start + 120)
        assert not watchdog.beat(start + 150)
        watchdog.progress("writer", start + 151)
        assert watchdog.beat(start + 152)
        return [heard() for _ in range(5)]

    with manager(address) as (heard, _server):
        assert asyncio.run(scenario(heard)) == ["WATCHDOG=1", "WATCHDOG=1", "STATUS=no progress: writer", "STATUS=", "WATCHDOG=1"]


def test_start_up_counts_as_progress(address):
    async def scenario():
        watchdog, start = watchdog_on(address)
        for part in PARTS:
            watchdog.progress(part, 0.0)
        return watchdog.beat(start + 30), watchdog.beat(start + 61)

    assert asyncio.run(scenario()) == (True, False)


def test_it_pings_twice_an_interval(address):
    async def scenario(server):
        server.setblocking(False)
        loop = asyncio.get_running_loop()
        watchdog, _ = watchdog_on(address, interval_seconds=0.02)
        heard = []
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            task = group.create_task(watchdog.run())
            while len(heard) < 5:
                heard.append(await loop.sock_recv(server, 4096))
                for part in PARTS:
                    watchdog.progress(part, loop.time())
            task.cancel()
        return heard

    with manager(address) as (_heard, server):
        assert b"WATCHDOG=1" in asyncio.run(scenario(server))


def test_it_is_made_only_where_systemd_watches_this_very_process():
    async def scenario(environment):
        return Watchdog.from_environment(Notifier(""), environment) is not None

    mine = str(os.getpid())
    assert asyncio.run(scenario({"WATCHDOG_USEC": "60000000"}))
    assert asyncio.run(scenario({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": mine}))
    assert not asyncio.run(scenario({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}))
    for wrong in ("", "0", "soon", "-1", "²"):
        assert not asyncio.run(scenario({"WATCHDOG_USEC": wrong}))
    assert not asyncio.run(scenario({}))


times = st.floats(0, 1e6)


@given(st.dictionaries(st.sampled_from(PARTS), times), times, st.floats(1, 1000))
def test_a_part_is_stalled_exactly_when_its_progress_is_too_old(progress, now, within):
    behind = stalled(progress, now, within)
    assert all(now - progress[name] >= within for name in behind)
    assert all(now - at < within for name, at in progress.items() if name not in behind)
