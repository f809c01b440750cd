"""Debian's chromium over its DevTools protocol, for the page's tests and screenshots. Only ever on loopback."""

import asyncio
import base64
import contextlib
import json
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

import aiohttp

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


class BrowserFailed(Exception):
    """The browser did not do what it was asked."""


@contextlib.asynccontextmanager
async def browser():
    """A fresh chromium; gone with everything it wrote when the block ends."""
    folder = tempfile.mkdtemp(prefix="netwatch-browser-")
    process = await asyncio.create_subprocess_exec(
        "chromium",
        *FLAGS,
        f"--user-data-dir={folder}",
        "about:blank",
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "HOME": folder},
    )
    try:
        async with asyncio.timeout(60), aiohttp.ClientSession() as http:
            address = await _devtools_address(process)
            async with http.ws_connect(address, max_msg_size=0) as socket:
                yield Browser(socket)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.communicate()
        shutil.rmtree(folder, ignore_errors=True)


async def _devtools_address(process):
    async for line in process.stderr:
        found = re.search(rb"DevTools listening on (ws://\S+)", line)
        if found:
            return found[1].decode()
    raise BrowserFailed("chromium ended before it listened")


class Browser:
    """One connection; calls are made one after the other."""

    def __init__(self, socket):
        self.socket = socket
        self.last = 0
        self.events = []

    async def call(self, method, session=None, **params):
        self.last += 1
        wanted = self.last
        message = {"id": wanted, "method": method, "params": params}
        await self.socket.send_str(json.dumps(message | ({"sessionId": session} if session else {})))
        while True:
            answer = json.loads((await self.socket.receive(timeout=30)).data)
            if answer.get("id") == wanted:
                if "error" in answer:
                    raise BrowserFailed(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    async def wait(self, session, method):
        """The next event of that name that has not been waited for."""
        while True:
            for position, event in enumerate(self.events):
                if event.get("method") == method and event.get("sessionId") == session:
                    return self.events.pop(position)["params"]
            self.events.append(json.loads((await self.socket.receive(timeout=30)).data))

    async def open(self, width, height, *, scheme="light", language="vi"):
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.call("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.call(f"{domain}.enable", session)
        await self.call("Emulation.setDeviceMetricsOverride", session, width=width, height=height, deviceScaleFactor=1, mobile=width < 700)
        await self.call("Emulation.setEmulatedMedia", session, features=[{"name": "prefers-color-scheme", "value": scheme}])
        await self.call("Network.setExtraHTTPHeaders", session, headers={"Accept-Language": language})
        return Tab(self, session, target)


class Tab:
    def __init__(self, owner, session, target):
        self.owner, self.session, self.target = owner, session, target

    async def go(self, url):
        await self.owner.call("Page.navigate", self.session, url=url)
        await self.owner.wait(self.session, "Page.loadEventFired")

    async def value(self, expression):
        """What a JavaScript expression gives; promises are awaited."""
        answer = await self.owner.call("Runtime.evaluate", self.session, expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise BrowserFailed(json.dumps(answer["exceptionDetails"])[:600])
        return answer["result"].get("value")

    async def until(self, expression):
        """Waits, without polling from here, until the expression is true."""
        return await self.value(
            f"new Promise((done) => {{ const look = () => ({expression}) ? done(true) : requestAnimationFrame(look); look(); }})"
        )

    async def picture(self, path, *, whole=False):
        answer = await self.owner.call("Page.captureScreenshot", self.session, format="png", captureBeyondViewport=whole)
        await asyncio.to_thread(Path(path).write_bytes, base64.b64decode(answer["data"]))

    def complaints(self):
        """Console errors, uncaught exceptions and what the browser itself logged, such as a broken content policy."""
        return [
            json.dumps(event["params"], ensure_ascii=False)[:500]
            for event in self.owner.events
            if event.get("sessionId") == self.session
            and (
                event["method"] == "Runtime.exceptionThrown"
                or (event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] in {"error", "warning"})
                or (event["method"] == "Runtime.consoleAPICalled" and event["params"]["type"] in {"error", "warning", "assert"})
            )
        ]

    async def close(self):
        await self.owner.call("Target.closeTarget", targetId=self.target)
