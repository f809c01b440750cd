"""Network namespaces of our own, so that a lab or a test can talk to nobody else."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from pathlib import Path

__all__ = ["NamespaceRefused", "enter", "enter_private_network", "unshare_network"]

CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
SIOCGIFFLAGS = 0x8913
SIOCSIFFLAGS = 0x8914
IFF_UP = 1
_libc = ctypes.CDLL(None, use_errno=True)


class NamespaceRefused(OSError):
    """The kernel or its administrator does not let us make a namespace."""


def _call(name: str, *arguments: int) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        code = ctypes.get_errno()
        raise NamespaceRefused(code, f"{name}: {os.strerror(code)}")


def become_root_in_user_namespace() -> None:
    """Makes this single-threaded process root inside a user namespace of its own. Raises NamespaceRefused."""
    uid, gid = os.geteuid(), os.getegid()
    _call("unshare", CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_bytes(b"deny")
    Path("/proc/self/uid_map").write_bytes(b"0 %d 1" % uid)
    Path("/proc/self/gid_map").write_bytes(b"0 %d 1" % gid)


def unshare_network() -> int:
    """Moves this thread into a new, empty network namespace and returns a descriptor of it. Raises NamespaceRefused."""
    _call("unshare", CLONE_NEWNET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def enter(namespace: int) -> None:
    """Moves this thread into the network namespace of a descriptor; sockets keep the one they were made in."""
    _call("setns", namespace, CLONE_NEWNET)


def enter_private_network() -> int:
    """Moves this process, before it has threads, into a network of its own: loopback up, ICMP sockets allowed.

    Works as root, or as an ordinary user where user namespaces are allowed. Raises NamespaceRefused.
    """
    if os.geteuid() != 0:
        become_root_in_user_namespace()
    namespace = unshare_network()
    raise_loopback()
    allow_icmp_sockets()
    return namespace


def allow_icmp_sockets() -> None:
    """Lets group 0 open ICMP datagram sockets in this namespace. Raises NamespaceRefused where /proc/sys is read-only."""
    file = Path("/proc/sys/net/ipv4/ping_group_range")
    try:
        file.write_bytes(b"0 0")
    except OSError as error:
        raise NamespaceRefused(error.errno, f"{file}: {error.strerror}") from None


def raise_loopback() -> None:
    """Turns `lo` up in the current network namespace: SIOCGIFFLAGS and SIOCSIFFLAGS of netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = bytearray(struct.pack("16sH22x", b"lo", 0))
        fcntl.ioctl(control, SIOCGIFFLAGS, request)
        flags = struct.unpack_from("H", request, 16)[0]
        struct.pack_into("H", request, 16, flags | IFF_UP)
        fcntl.ioctl(control, SIOCSIFFLAGS, request)
