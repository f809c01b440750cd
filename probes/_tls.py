"""TLS as a user's browser would do it: contexts, and what a refused handshake means."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field

from probes import ProbeFailed
from probes._wire.certificate import Certificate, not_after

__all__ = ["ServerName", "TlsContexts", "certificate_ends", "check_server_name", "fault", "handshake", "is_named", "server_name", "utc"]

# <openssl/x509_vfy.h>: X509_V_ERR_*
VERIFY_CODES = {
    9: "tls_not_yet_valid",
    10: "tls_expired",
    18: "tls_self_signed",
    19: "tls_untrusted",  # self-signed in the chain
    20: "tls_untrusted",  # issuer not known here
    21: "tls_untrusted",  # chain not sent whole
    62: "tls_name",
    64: "tls_name",  # IP address
}
# The deadline is the runner's; asyncio's own would come first, and say that the connection was aborted.
HANDSHAKE_SECONDS = 3600.0
OLD_VERSION = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "VERSION_TOO_LOW"})


class TlsContexts:
    """One context per way to verify, for the whole daemon: reading the CA certificates takes tens of milliseconds.

    A context keeps no sessions of its own, so each handshake is a full one. A changed CA file is read again.
    """

    def __init__(self) -> None:
        self._contexts: dict[tuple[bool, bool, str, int], ssl.SSLContext] = {}

    def get(self, *, verify: bool, ca_file: str, web: bool = True) -> ssl.SSLContext:
        """An empty `ca_file` means the system's. Raises OSError when it cannot be read, ssl.SSLError when it holds no certificate.

        Without `web` the service may be any: none is named (ALPN), and the name in the certificate is the caller's to judge.
        """
        changed = Path(ca_file).stat().st_mtime_ns if ca_file else 0
        key = (verify, web, ca_file, changed)
        context = self._contexts.get(key)
        if context is None:
            context = ssl.create_default_context(cafile=ca_file or None) if verify else unverified()
            context.check_hostname = verify and web
            context.hostname_checks_common_name = False  # no browser has looked there since 2017
            if web:
                context.set_alpn_protocols(["http/1.1"])
            self._contexts[key] = context
        return context

    async def aclose(self) -> None:
        self._contexts.clear()


def unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def handshake(connection: socket.socket, context: ssl.SSLContext, name: str, protocol: asyncio.Protocol) -> asyncio.Transport:
    """TLS over an open connection, `name` being asked for and verified as the context says. Closes the connection when it fails.

    Raises ProbeFailed, or the OSError of the connection.
    """
    try:
        return await _handshake(connection, context, name, protocol)
    except ssl.SSLError as error:
        raise fault(error) from error
    except ConnectionError as error:
        if error.errno is None:  # asyncio's own words for a handshake that was cut off
            raise ProbeFailed("tls", "connection closed during the handshake") from error
        raise


async def _handshake(connection: socket.socket, context: ssl.SSLContext, name: str, protocol: asyncio.Protocol) -> asyncio.Transport:
    try:
        transport, _ = await asyncio.get_running_loop().create_connection(
            lambda: protocol, sock=connection, ssl=context, server_hostname=server_name(name), ssl_handshake_timeout=HANDSHAKE_SECONDS
        )
    except BaseException:
        connection.close()
        raise
    return transport


ServerName: TypeAlias = Annotated[str, Field(pattern=r"^([0-9A-Za-z_:-][0-9A-Za-z._:-]*)?$", max_length=253)]  # empty: none is given


def check_server_name(name: str) -> None:
    """Of a probe's key `server_name`. Raises ValueError, which names the key."""
    try:
        server_name(name)
    except ValueError as error:
        raise ValueError(f"server_name: {error}") from error


def server_name(name: str) -> str:
    """A host name as TLS takes it, without the dot at its end. Raises ValueError for one with a label that cannot be."""
    name = name.rstrip(".")
    name.encode("idna")
    return name


def fault(error: ssl.SSLError) -> ProbeFailed:
    """What a failed handshake says about the server, as a code of its own where a person would act differently."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProbeFailed(VERIFY_CODES.get(error.verify_code, "tls"), error.verify_message.removesuffix("."))
    code = "tls_version" if error.reason in OLD_VERSION else "tls"
    return ProbeFailed(code, (error.reason or "handshake failed").replace("_", " ").lower())


def certificate_ends(connection: ssl.SSLObject) -> float | None:
    """When the peer's certificate ends, verified or not; None when that cannot be read."""
    der = connection.getpeercert(binary_form=True)
    try:
        return not_after(der) if der else None
    except ValueError:
        return None


def is_named(certificate: Certificate, host: str) -> bool:
    """Whether a certificate is for a host name or address, as RFC 9525 section 6.3 and OpenSSL judge it: the subject does not count."""
    try:
        return ipaddress.ip_address(host).packed in certificate.addresses
    except ValueError:
        own = host.rstrip(".").lower()
    parent = own.partition(".")[2]
    return any(name == own or ("." in parent and name == f"*.{parent}") for name in (each.lower() for each in certificate.names))


def utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
