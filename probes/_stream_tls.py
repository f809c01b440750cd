"""TLS over a connection of a test that is made in a thread."""

from __future__ import annotations

import socket
import ssl

from probes._stream_pipe import ServerRefuses

__all__ = ["secured"]


def secured(connection: socket.socket, context: ssl.SSLContext, name: str | None) -> ssl.SSLSocket:
    """Raises ServerRefuses where TLS cannot be had, OSError; then the connection is closed."""
    try:
        return context.wrap_socket(connection, server_hostname=name)
    except ssl.SSLError as error:
        connection.close()
        raise ServerRefuses("tls", error.reason or "no TLS") from error
    except BaseException:
        connection.close()
        raise
