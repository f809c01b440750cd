"""A RouterOS router as its REST API is documented (RouterOS 7), which really fetches; and what a bad one may do instead.

Values are text; a wrong login is 401 with `error` and `message`; what a command refuses is 400 with `detail`.
"""

import base64
import contextlib
import http.server
import json
import socket
import threading
from urllib.parse import urlsplit

USER, PASSWORD = "netwatch", "chuột và chó"
RESOURCE = {"board-name": "hEX S", "cpu": "MIPS 1004Kc V2.15", "cpu-count": "4", "version": "7.15.1 (stable)", "uptime": "2d3h15m42s"}


def fetch(url, source="127.0.0.1", portion=1 << 16, pause=None, most=None):
    """As `/tool/fetch output=none`: what comes is dropped. Gives its bytes, and the status of the answer."""
    where = urlsplit(url)
    with socket.create_connection((where.hostname, where.port), 5, (source, 0)) as connection:
        connection.sendall(f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUser-Agent: Mikrotik/7.x Fetch\r\n\r\n".encode())
        head = connection.recv(4096)
        got = 0
        with contextlib.suppress(OSError):
            while part := connection.recv(portion):
                got += len(part)
                if pause is not None:
                    pause()
                if most is not None and got > most:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                    break
    return got, int(head.split(b" ", 2)[1])


class RouterOs(http.server.ThreadingHTTPServer):
    """`fetches` is what it does when it is told to fetch, in place of fetching; `loads` are its CPU's, the last for ever."""

    daemon_threads = True

    def __init__(self, context, *, fetches=fetch, loads=(3,), cores=4, close=False, resource=None, host="127.0.0.1"):
        super().__init__((host, 0), Handler)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.fetches, self.loads, self.cores, self.close_each, self.resource = fetches, list(loads), cores, close, resource
        self.asked, self.fetched, self.over = [], [], threading.Event()

    def load(self):
        return self.loads.pop(0) if len(self.loads) > 1 else self.loads[0]

    def handle_error(self, request, client_address):
        """Clients end as they like."""

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    @property
    def port(self):
        return self.server_address[1]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.known() and self.path == "/rest/system/resource":
            told = self.server.resource or {**RESOURCE, "cpu-count": str(self.server.cores), "cpu-load": str(self.server.load())}
            self.answer(200, told)

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.known():
            return
        self.server.asked.append((self.path, asked))
        try:
            got = self.server.fetches(asked["url"])
        except Refused as refused:
            self.answer(400, {"error": 400, "message": "Bad Request", "detail": str(refused)})
            return
        except OSError as error:
            self.answer(400, {"error": 400, "message": "Bad Request", "detail": f"failure: {error}"})
            return
        self.server.fetched.append(got)
        self.answer(200, [{"status": "finished", "duration": "1s"}])

    def known(self):
        wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        if self.headers["Authorization"] == wanted:
            return True
        self.answer(401, {"error": 401, "message": "Unauthorized"})
        return False

    def answer(self, status, told):
        body = json.dumps(told).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            if self.server.close_each:
                self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, *_):
        """Quiet."""


class Refused(Exception):
    """What the command says."""
