"""Reflectors for tests: an honest one, and ones that behave badly at a chosen point."""

import contextlib
import dataclasses
import socket
import struct
import threading
import time

from netwatch.reflector import Limits, Reflector
from netwatch.reflector._udp import open_way
from probes._control import admit
from probes._paced import Counter, Sender
from probes._wire.capacity import PREAMBLE, Done, Ready, Request

TOKEN = b"correct horse"
TEST = b"test-one"


@contextlib.contextmanager
def reflecting(limits=None, token=TOKEN, host="127.0.0.1", **more):
    """An honest one; gives its port."""
    far_end = Reflector(token, limits or Limits(), **more)
    thread = threading.Thread(target=far_end.serve)
    try:
        ((_, port),) = far_end.listen(host, 0)
        thread.start()
        yield port
    finally:
        far_end.close()
        thread.join()


class Hostile:
    """Takes one test and does with it what `behave(peer)` does."""

    def __init__(self, behave):
        self._behave = behave
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self.control = self.datagrams = self.request = None
        self.over = threading.Event()

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self._listener.close()
        self._thread.join()
        if self.datagrams is not None:
            self.datagrams.close()

    def _run(self):
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                self.control = connection
                self._behave(self)

    def take(self):
        """As an honest one up to where data may flow."""
        connection = self.control
        assert connection.recv(len(PREAMBLE)) == PREAMBLE
        self.control = admit(connection, TOKEN)
        self.request = self.control.receive(Request)
        self.datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.datagrams.bind(("127.0.0.1", 0))
        self.control.send(Ready(TEST, self.datagrams.getsockname()[1]))
        open_way(self.control, self.datagrams, TEST)
        self.datagrams.setblocking(False)

    def heard(self, count=10**9):
        """Bins as an honest one would send them."""
        counter = Counter(self.datagrams, TEST, float(self.request.pace), self.request.max_bytes)
        while count > 0 and not self.over.is_set():
            for one in counter.drain():
                yield one
                count -= 1
            time.sleep(0.002)

    def send(self, seconds, pace=1.0, change=lambda sender: None):
        sender = Sender(self.datagrams, TEST, self.request.pace * pace, self.request.max_bytes)
        until = time.monotonic() + seconds
        while time.monotonic() < until and not self.over.is_set():
            sender.send_due(time.monotonic_ns())
            change(sender)
            time.sleep(0.001)

    def hold(self):
        """Keeps the connection open and says nothing more."""
        self.over.wait(20)

    def reset(self):
        connection = self.control.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def goes_after_three_bins(peer):
    peer.take()
    for one in peer.heard(3):
        peer.control.send(one)


def resets_after_three_bins(peer):
    goes_after_three_bins(peer)
    peer.reset()


def falls_silent_after_three_bins(peer):
    goes_after_three_bins(peer)
    peer.hold()


def hears_nothing(peer):
    peer.take()
    peer.hold()


def garbles(peer):
    goes_after_three_bins(peer)
    peer.control.connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
    peer.hold()


def speaks_with_another_key(peer):
    goes_after_three_bins(peer)
    peer.control.framer.key = b"x" * 32
    peer.control.send(Done(0, 0))
    peer.hold()


def lies(**lie):
    """Bins in which some figures are others."""

    def behave(peer):
        peer.take()
        for one in peer.heard():
            peer.control.send(dataclasses.replace(one, **{name: change(one) for name, change in lie.items()}))

    return behave


def says_it_twice(peer):
    peer.take()
    for one in peer.heard():
        peer.control.send(one)
        peer.control.send(dataclasses.replace(one, index=one.index + 1))


def runs_ahead(peer):
    """All at once, of packets that did come, as if time went faster."""
    peer.take()
    kept = list(peer.heard(4))
    for index, one in enumerate(kept * 20):
        peer.control.send(dataclasses.replace(one, index=index))


def sends_thrice_as_fast(peer):
    peer.take()
    peer.send(3, pace=3.0)


def sends_everything_many_times(peer):
    peer.take()
    peer.send(3, change=lambda sender: setattr(sender, "sent", max(sender.sent - 20, 0)))


def sends_short_packets(peer):
    """Few bytes that would pass for many."""
    peer.take()
    peer.send(2, change=lambda sender: setattr(sender, "_filler", b""))
    peer.hold()


def stops_sending(peer):
    peer.take()
    peer.send(0.3)
    peer.hold()


def goes_while_sending(peer):
    peer.take()
    peer.send(0.3)
    peer.reset()


def sends_nothing(peer):
    peer.take()
    peer.hold()


def numbers_what_was_never_asked_for(peer):
    peer.take()
    peer.send(2, change=lambda sender: setattr(sender, "sent", max(sender.sent, 10**6)))
    peer.hold()
