"""Loopback stand-ins for the services behind the pagers, as strict as the real ones."""

import asyncio
import html.parser
import json
import re
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


class Refusal(Exception):
    """What the service says no to, as it says it."""

    def __init__(self, status: int, document: dict[str, Any] | str) -> None:
        self.status = status
        self.document = document
        super().__init__(status)

    def response(self) -> web.Response:
        if isinstance(self.document, str):
            return web.Response(status=self.status, text=self.document)
        return web.json_response(self.document, status=self.status)


class Service:
    """One fake. `handle` returns what an accepted request is answered, or raises Refusal."""

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            return await self.handle(request, body)
        except Refusal as refusal:
            return refusal.response()

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        raise NotImplementedError


def utf16(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def json_object(body: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(body.decode("utf-8"))
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass
class Accepts(Service):
    """Takes anything, as a receiver of webhooks or an Alertmanager does."""

    bodies: list[bytes] = field(default_factory=list)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        self.bodies.append(body)
        return web.Response()


PAGERDUTY_KEY = "0123456789abcdef0123456789abcdef"


@dataclass
class PagerDuty(Service):
    """Events API v2. `alerts` holds what is open, by routing key and dedup_key; `events` all that was accepted."""

    keys: set[str] = field(default_factory=lambda: {PAGERDUTY_KEY})
    alerts: dict[tuple[str, str], str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if (request.method, request.path) != ("POST", "/v2/enqueue"):
            raise Refusal(404, "")
        if len(body) > 512_000:
            raise Refusal(413, "")
        event = json_object(body)
        wrong = ["body is not JSON"] if event is None else list(self.faults(event))
        if event is None or wrong:
            raise Refusal(400, {"status": "invalid event", "message": "Event object is invalid", "errors": wrong})
        self.events.append(event)
        which = (event["routing_key"], event["dedup_key"])
        if event["event_action"] == "trigger":
            self.alerts.setdefault(which, "triggered")
        elif event["event_action"] == "resolve":
            self.alerts.pop(which, None)
        elif which in self.alerts:
            self.alerts[which] = "acknowledged"
        return web.json_response({"status": "success", "message": "Event processed", "dedup_key": which[1]}, status=202)

    def faults(self, event: dict[str, Any]) -> Any:
        if event.get("routing_key") not in self.keys:
            yield "Invalid routing key"
        if event.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            yield "'event_action' is invalid"
        if not 1 <= len(event.get("dedup_key", "")) <= 255:
            yield "'dedup_key' is too long or missing"
        payload = event.get("payload")
        if event.get("event_action") != "trigger":
            return
        if not isinstance(payload, dict):
            yield "'payload' is missing or blank"
            return
        for name, longest in (("summary", 1024), ("source", 10**6)):
            if not 1 <= len(str(payload.get(name, "")).strip()) <= longest:
                yield f"'payload.{name}' is missing, blank or too long"
        if payload.get("severity") not in {"critical", "error", "warning", "info"}:
            yield "'payload.severity' is invalid"
        for link in event.get("links", []):
            if not str(link.get("href", "")).startswith(("http://", "https://")):
                yield "'links' is invalid"


class _Html(html.parser.HTMLParser):
    """Reads HTML as strictly as Telegram: what is no known tag or entity is an error."""

    TAGS = frozenset({"b", "i", "u", "s", "a", "code", "pre", "tg-spoiler", "blockquote"})

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.text = ""
        self.tags: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in self.TAGS:
            raise ValueError(f"Unsupported start tag {tag!r}")
        self.tags.append(tag)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            raise ValueError(f"Unexpected end tag {tag!r}")

    def handle_data(self, data: str) -> None:
        if "<" in data or "&" in data:
            raise ValueError("Unclosed start tag or bare ampersand")
        self.text += data

    def handle_entityref(self, name: str) -> None:
        if name not in {"lt", "gt", "amp", "quot"}:
            raise ValueError(f"Unknown entity {name!r}")
        self.text += {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}[name]

    def _no(self, what: str) -> None:
        raise ValueError(f"Unsupported {what!r}")

    handle_charref = handle_comment = handle_decl = handle_pi = unknown_decl = _no


def read_html(text: str) -> tuple[str, list[str]]:
    """The text a reader sees, and the tags in it. Raises ValueError."""
    parser = _Html()
    parser.feed(text)
    parser.close()
    if parser.open:
        raise ValueError("Can't find end tag")
    return parser.text, parser.tags


TELEGRAM_TOKEN = "123456789:AAF-abcdefghijklmnopqrstuvwxyz_12345"


@dataclass
class Telegram(Service):
    """sendMessage of the Bot API, and what becomes of presses. `moved` maps groups to the supergroups they became."""

    token: str = TELEGRAM_TOKEN
    chats: set[str] = field(default_factory=lambda: {"-1001"})
    moved: dict[str, int] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)
    updates: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)  # to presses
    edits: list[dict[str, Any]] = field(default_factory=list)  # of the buttons below messages
    polls: list[int | None] = field(default_factory=list)  # the offsets that were asked for
    pressed: int = 0
    happened: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        path = urllib.parse.unquote(request.path)
        called = re.fullmatch(r"/bot([0-9]+:[\w-]+)/(sendMessage|getUpdates|answerCallbackQuery|editMessageReplyMarkup)", path)
        if called is None:
            return self.refuse(404, "Not Found")
        if called[1] != self.token:
            self.refuse(401, "Unauthorized")
        asked = json_object(body)
        if asked is None:
            return self.refuse(400, "Bad Request: message text is empty")
        if called[2] == "getUpdates":
            return await self.waiting_updates(asked)
        if called[2] != "sendMessage":
            (self.answers if called[2] == "answerCallbackQuery" else self.edits).append(asked)
            await self.tell()
            return web.json_response({"ok": True, "result": True})
        made = self.message(asked)
        await self.tell()
        self.messages.append(made)
        return web.json_response({"ok": True, "result": {"message_id": made["number"], "chat": {"id": made["chat"]}, "text": made["text"]}})

    async def waiting_updates(self, asked: dict[str, Any]) -> web.StreamResponse:
        """Long polling: as long as nobody has pressed anything, until the other side goes away."""
        offset = asked.get("offset")
        self.polls.append(offset)
        await self.tell()
        self.updates = [one for one in self.updates if offset is None or one["update_id"] >= offset]
        async with self.happened:
            await self.happened.wait_for(lambda: self.updates)
        return web.json_response({"ok": True, "result": self.updates[: asked["limit"]]})

    async def tell(self) -> None:
        async with self.happened:
            self.happened.notify_all()

    async def wait_until(self, so: Callable[[], Any]) -> None:
        async with asyncio.timeout(30), self.happened:
            await self.happened.wait_for(so)

    async def press(self, shown: dict[str, Any], /, user: int = 501, name: str = "Trực ca A", **changes: Any) -> None:
        """Somebody presses the first button below a message."""
        chat = {"id": -1009, "username": shown["chat"][1:]} if shown["chat"].startswith("@") else {"id": int(shown["chat"])}
        rows = [[{"text": text, "callback_data" if target.startswith("ack:") else "url": target}] for text, target in shown["buttons"]]
        message = {"message_id": shown["number"], "chat": chat, "reply_markup": {"inline_keyboard": rows}}
        query = {"id": f"q{user}", "from": {"id": user, "first_name": name}, "message": message, "data": shown["buttons"][0][1], **changes}
        self.updates.append({"update_id": 7_000 + self.pressed, "callback_query": query})
        self.pressed += 1
        await self.tell()

    def refuse(self, code: int, description: str, **parameters: Any) -> Any:
        extra = {"parameters": parameters} if parameters else {}
        raise Refusal(code, {"ok": False, "error_code": code, "description": description, **extra})

    def message(self, asked: dict[str, Any]) -> dict[str, Any]:
        chat = str(asked.get("chat_id", ""))
        if chat in self.moved:
            moved = self.moved[chat]
            self.refuse(400, "Bad Request: group chat was upgraded to a supergroup chat", migrate_to_chat_id=moved)
        if chat not in self.chats:
            self.refuse(400, "Bad Request: chat not found")
        text, tags = asked.get("text", ""), []
        if asked.get("parse_mode") == "HTML":
            try:
                text, tags = read_html(text)
            except ValueError as wrong:
                self.refuse(400, f"Bad Request: can't parse entities: {wrong}")
        if not text.strip():
            self.refuse(400, "Bad Request: message text is empty")
        if utf16(text) > 4096:
            self.refuse(400, "Bad Request: message is too long")
        answered = asked.get("reply_parameters", {})
        known = any(one["chat"] == chat and one["number"] == answered.get("message_id") for one in self.messages)
        if answered and not known and not answered.get("allow_sending_without_reply"):
            self.refuse(400, "Bad Request: message to be replied not found")
        buttons = [button for row in asked.get("reply_markup", {}).get("inline_keyboard", []) for button in row]
        for button in buttons:
            if "callback_data" in button:
                if not 1 <= len(button["callback_data"].encode()) <= 64:
                    self.refuse(400, "Bad Request: BUTTON_DATA_INVALID")
                continue
            host = urllib.parse.urlsplit(button["url"]).hostname or ""
            if not host or host.startswith("127."):
                self.refuse(400, "Bad Request: inline keyboard button URL is invalid: Wrong HTTP URL")
        return {
            "number": 100 + len(self.messages),
            "chat": chat,
            "text": text,
            "tags": tags,
            "answers": answered.get("message_id") if known else None,
            "buttons": [(button["text"], button.get("url") or button["callback_data"]) for button in buttons],
            "silent": asked.get("disable_notification", False),
            "topic": asked.get("message_thread_id"),
        }


ZALO_TOKEN = "987654321:abcDEF_ghijKLMNOP"


@dataclass
class Zalo(Service):
    """sendMessage of the Zalo Bot API: a refusal comes with 200."""

    token: str = ZALO_TOKEN
    chats: set[str] = field(default_factory=lambda: {"abc.xyz-1"})
    texts: list[str] = field(default_factory=list)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if urllib.parse.unquote(request.path) != f"/bot{self.token}/sendMessage":
            raise Refusal(200, {"ok": False, "error_code": 401, "description": "Unauthorized"})
        asked = json_object(body) or {}
        text = asked.get("text", "")
        if asked.get("chat_id") not in self.chats:
            raise Refusal(200, {"ok": False, "error_code": 400, "description": "Bad Request: chat not found"})
        if not 1 <= utf16(text) <= 2000 or "parse_mode" in asked:
            raise Refusal(200, {"ok": False, "error_code": 400, "description": "Bad Request: text"})
        self.texts.append(text)
        return web.json_response({"ok": True, "result": {"message_id": f"m{len(self.texts)}", "date": 1795463220000}})


NTFY_TOPIC = "dien-bien-Zq8"


@dataclass
class Ntfy(Service):
    """Publishing as JSON. `shown` is what stands on a phone: one entry a sequence."""

    token: str = ""
    published: list[dict[str, Any]] = field(default_factory=list)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            raise Refusal(403, {"code": 40301, "http": 403, "error": "forbidden"})
        asked = json_object(body)
        if asked is None or request.path != "/":
            raise Refusal(400, {"code": 40017, "http": 400, "error": "invalid request: request body must be message JSON"})
        if not re.fullmatch(r"[-_A-Za-z0-9]{1,64}", asked.get("topic", "")):
            raise Refusal(400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"})
        if asked.get("priority") not in {1, 2, 3, 4, 5}:
            raise Refusal(400, {"code": 40007, "http": 400, "error": "invalid priority parameter"})
        actions = asked.get("actions", [])
        if len(actions) > 3 or not all(one["action"] == "view" and one["label"] and one["url"] for one in actions):
            raise Refusal(400, {"code": 40018, "http": 400, "error": "invalid request: actions invalid"})
        if not re.fullmatch(r"[-_A-Za-z0-9]{0,64}", asked.get("sequence_id", "")):
            raise Refusal(400, {"code": 40049, "http": 400, "error": "invalid request: sequence ID invalid"})
        made = asked | {"attachment": len(asked.get("message", "").encode()) > 4096}
        self.published.append(made)
        self.shown[asked.get("sequence_id") or f"#{len(self.published)}"] = made
        return web.json_response({"id": "hwQ2YpKdmg", "time": 1795463220, "event": "message", "topic": asked["topic"]})


SLACK_TOKEN = "xoxb-123456-abcdefABCDEF"
SLACK_PATH = "/services/T0000/B0000/XXXXcanaryXXXX"


@dataclass
class Slack(Service):
    """An incoming webhook, and chat.postMessage, which answers 200 to everything."""

    token: str = SLACK_TOKEN
    channels: set[str] = field(default_factory=lambda: {"#noc"})
    messages: list[dict[str, Any]] = field(default_factory=list)

    async def handle(self, request: web.Request, body: bytes) -> web.StreamResponse:
        asked = json_object(body)
        if request.path == "/api/chat.postMessage":
            return web.json_response(self.api(request, asked or {}))
        if request.path != SLACK_PATH:
            raise Refusal(404, "no_service")
        wrong = self.fault(asked or {})
        if wrong:
            raise Refusal(400, wrong)
        self.messages.append(asked or {})
        return web.Response(text="ok")

    def api(self, request: web.Request, asked: dict[str, Any]) -> dict[str, Any]:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return {"ok": False, "error": "invalid_auth"}
        channel = asked.get("channel")
        if channel not in self.channels | {"C0"}:
            return {"ok": False, "error": "channel_not_found"}
        if "thread_ts" in asked and asked["thread_ts"] not in {one["ts"] for one in self.messages}:
            return {"ok": False, "error": "thread_not_found"}
        wrong = self.fault(asked)
        if wrong:
            return {"ok": False, "error": wrong}
        self.messages.append(asked | {"ts": f"1795463220.{len(self.messages):06}"})
        return {"ok": True, "channel": "C0", "ts": self.messages[-1]["ts"]}

    def fault(self, asked: dict[str, Any]) -> str:
        if not asked.get("text", "").strip() and not asked.get("blocks"):
            return "no_text"
        for block in asked.get("blocks", []):
            texts = [(block.get("text"), {"header": 150, "section": 3000}.get(block["type"], 0))] if "text" in block else []
            texts += [(element["text"], 75) for element in block.get("elements", [])]
            for text, longest in texts:
                if text["type"] != "plain_text" or not 1 <= utf16(text["text"]) <= longest:
                    return "invalid_blocks"
            if any(len(element.get("url", "")) > 3000 for element in block.get("elements", [])):
                return "invalid_blocks"
        return ""
