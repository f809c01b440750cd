"""E-mail: against a real SMTP server (aiosmtpd), and one that answers what it is told to."""

import asyncio
import contextlib
import email
import email.policy
import logging

import pytest
from aiosmtpd.smtp import SMTP, AuthResult
from hypothesis import given
from hypothesis import strategies as st

from netwatch._delivery_lanes import open_session
from netwatch.model import Cause, Incident, Page, PagerSettings, PageText, Secret
from netwatch.pagers import Busy, PagerMisconfigured, Receipt, Refused, build
from netwatch.pagers.smtp import compose, message_id
from tests.certificates import Authority

NOW = 1_795_463_220.0
SENDER = "netwatch@noc.example.vn"


def page(kind="open", sequence=1, key="netwatch/na-tau", severity="critical"):
    incident = Incident(
        id=1842, key=key, cause=Cause("site", "na-tau"), sites=("na-tau",), severity=severity, opened=NOW, updated=NOW, sequence=sequence
    )
    return Page(incident=incident, kind=kind, wall=NOW, pager="mail")


TEXT = PageText(
    title="🔴 Nà Tấu mất kết nối",
    body="🔴 Nà Tấu mất kết nối\nTừ 02:47\n.một dòng có dấu chấm",
    sms="x",
    url="https://nw/sites/na-tau",
    acknowledge_url="https://nw/a/1842?k=abc",
)


def pager(port, recipients=("a@one.vn",), **options):
    written = {"host": "127.0.0.1", "port": port, "tls": "none", "sender": SENDER, "recipients": list(recipients), **options}
    return build(PagerSettings(name="mail", kind="smtp", options=written))


async def sent(made, the_page=None, thread=None):
    async with open_session() as http:
        return await made.send(the_page or page(), TEXT, thread, http)


class Inbox:
    """What aiosmtpd does with what it gets; `codes` says how a recipient is answered."""

    def __init__(self, codes=None):
        self.codes = codes or {}
        self.mails = []

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802  # aiosmtpd calls it so
        code = self.codes.get(address, 250)
        if code != 250:
            return f"{code} no"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802  # aiosmtpd calls it so
        parsed = email.message_from_bytes(envelope.content, policy=email.policy.default)
        self.mails.append((list(envelope.rcpt_tos), parsed, envelope.content))
        return "250 taken"


@contextlib.asynccontextmanager
async def real_server(inbox, tls=None, **options):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, loop=loop, **options), "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()


def test_one_mail_reaches_a_real_server_in_vietnamese_with_the_link_to_acknowledge():
    inbox = Inbox()

    async def scenario():
        async with real_server(inbox) as port:
            return await sent(pager(port, ("a@one.vn", "b@two.vn")))

    receipt = asyncio.run(scenario())
    ((recipients, mail, raw),) = inbox.mails
    assert recipients == ["a@one.vn", "b@two.vn"]
    assert mail["Subject"] == TEXT.title
    assert mail["Message-ID"] == receipt.thread == "<netwatch/na-tau.1842.1@noc.example.vn>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["In-Reply-To"] is None
    body = mail.get_content()
    assert body.replace("\r\n", "\n").startswith(TEXT.body)
    assert TEXT.acknowledge_url in body
    assert raw.isascii()


def test_later_pages_are_answers_to_the_first():
    inbox = Inbox()

    async def scenario():
        async with real_server(inbox) as port:
            made = pager(port)
            first = await sent(made)
            return first, await sent(made, page("recover", 2), first)

    first, second = asyncio.run(scenario())
    assert first == second
    mail = inbox.mails[1][1]
    assert mail["Message-ID"] == "<netwatch/na-tau.1842.2@noc.example.vn>"
    assert mail["In-Reply-To"] == mail["References"] == first.thread
    assert mail["X-Priority"] is None


def test_a_retry_is_the_same_mail():
    assert compose(page(), TEXT, SENDER, ("a@one.vn",), "") == compose(page(), TEXT, SENDER, ("a@one.vn",), "")


def test_one_refused_recipient_does_not_stop_the_others(caplog):
    inbox = Inbox({"gone@one.vn": 550})

    async def scenario():
        async with real_server(inbox) as port:
            return await sent(pager(port, ("gone@one.vn", "a@one.vn")))

    assert asyncio.run(scenario()).thread
    assert inbox.mails[0][0] == ["a@one.vn"]
    assert "a recipient is refused" in caplog.text


def test_it_is_refused_when_every_recipient_is_and_busy_when_one_may_yet_take_it():
    async def scenario(codes):
        inbox = Inbox(codes)
        async with real_server(inbox) as port:
            await sent(pager(port, ("a@one.vn", "b@one.vn")))

    with pytest.raises(Refused, match="SMTP 550"):
        asyncio.run(scenario({"a@one.vn": 550, "b@one.vn": 551}))
    with pytest.raises(Busy, match="SMTP 451 for 1 of 2"):
        asyncio.run(scenario({"a@one.vn": 550, "b@one.vn": 451}))


def test_who_has_it_does_not_get_it_again_because_another_was_busy():
    inbox = Inbox({"b@one.vn": 451})

    async def scenario():
        async with real_server(inbox) as port:
            made = pager(port, ("a@one.vn", "b@one.vn"))
            with pytest.raises(Busy):
                await sent(made)
            inbox.codes.clear()
            return await sent(made)

    assert asyncio.run(scenario()).thread
    assert [recipients for recipients, _, _ in inbox.mails] == [["a@one.vn"], ["b@one.vn"]]


def test_the_last_recipient_refused_does_not_undo_what_another_took():
    inbox = Inbox({"b@one.vn": 451})

    async def scenario():
        async with real_server(inbox) as port:
            made = pager(port, ("a@one.vn", "b@one.vn"))
            with pytest.raises(Busy):
                await sent(made)
            inbox.codes["b@one.vn"] = 550
            return await sent(made)

    assert asyncio.run(scenario()).thread


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.mark.parametrize("tls", ["tls", "starttls"])
def test_the_password_goes_over_verified_tls_only(authority, tls):
    inbox, seen = Inbox(), []

    def authenticate(server, session, envelope, mechanism, data):
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == b"canary", handled=False)

    async def scenario(password="canary", **options):
        context = authority.server()
        ours = {"tls_context": context, "require_starttls": True} if tls == "starttls" else {"auth_require_tls": False}
        async with real_server(inbox, context if tls == "tls" else None, authenticator=authenticate, **ours) as port:
            await sent(pager(port, tls=tls, username="noc", password=Secret(password), **options))

    asyncio.run(scenario(ca_file=str(authority.file)))
    assert seen == [(b"noc", b"canary")]
    assert len(inbox.mails) == 1
    with pytest.raises((Busy, OSError)) as unverified:
        asyncio.run(scenario())
    assert "canary" not in str(unverified.value)
    assert len(seen) == 1
    with pytest.raises(Refused, match="535"):
        asyncio.run(scenario("wrong", ca_file=str(authority.file)))


def test_a_server_without_starttls_gets_nothing():
    inbox = Inbox()

    async def scenario():
        async with real_server(inbox) as port:
            await sent(pager(port, tls="starttls"))

    with pytest.raises(Busy):
        asyncio.run(scenario())
    assert inbox.mails == []


@contextlib.asynccontextmanager
async def scripted(answers):
    """Answers each command by its first word; what is missing is never answered."""

    served = {}

    async def serve(reader, writer):
        served[asyncio.current_task()] = writer
        with contextlib.suppress(ConnectionError):
            writer.write(answers.get("", b"220 hi\r\n"))
            in_data = False
            while line := await reader.readline():
                word = line.split()[0].decode("latin-1").upper() if line.split() else ""
                if in_data and line != b".\r\n":
                    continue
                answer = answers.get("." if in_data else word)
                in_data = word == "DATA" and answer is not None and answer.startswith(b"354")
                if answer is None:
                    await asyncio.Event().wait()
                if answer == b"":
                    break
                writer.write(answer)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        async with server:
            yield server.sockets[0].getsockname()[1]
    finally:
        for task, writer in served.items():
            task.cancel()
            writer.transport.abort()
        await asyncio.wait(served)


FINE = {
    "EHLO": b"250 x\r\n",
    "MAIL": b"250 x\r\n",
    "RCPT": b"250 x\r\n",
    "DATA": b"354 x\r\n",
    ".": b"250 x\r\n",
    "RSET": b"250 x\r\n",
    "HELO": b"250 x\r\n",
}


@pytest.mark.parametrize(
    ("changed", "raised"),
    [
        ({}, None),
        ({"": b"421 too busy\r\n"}, (Busy, OSError)),
        ({"": b"554 go away\r\n"}, (Refused, OSError)),
        ({"": b"garbage\r\n"}, (Busy, OSError)),
        ({"MAIL": b"451 later\r\n"}, Busy),
        ({"MAIL": b"550 spam\r\n"}, Refused),
        ({"DATA": b"452 full\r\n"}, Busy),
        ({"DATA": b"554 no\r\n"}, Refused),
        ({".": b"451 later\r\n"}, Busy),
        ({".": b"552 too big\r\n"}, Refused),
        ({".": b""}, (Busy, OSError)),
        ({"EHLO": b"x" * 100_000 + b"\r\n"}, (Busy, OSError)),
        ({".": b"250-" + b"\xff" * 400 + b"\r\n250 x\r\n"}, None),
    ],
)
def test_an_answer_is_for_good_or_for_now(changed, raised):
    async def scenario():
        async with asyncio.timeout(20), scripted({**FINE, **changed}) as port:
            return await sent(pager(port))

    if raised is None:
        assert asyncio.run(scenario()).thread
        return
    with pytest.raises(raised):
        asyncio.run(scenario())


@pytest.mark.parametrize("word", ["EHLO", "MAIL", "DATA", "."])
def test_a_server_that_hangs_is_left_to_the_deadline_of_the_caller(word):
    async def scenario():
        async with scripted({name: answer for name, answer in FINE.items() if name != word}) as port, asyncio.timeout(0.3):
            await sent(pager(port))

    with pytest.raises(TimeoutError):
        asyncio.run(scenario())


def test_a_server_that_hangs_after_the_mail_does_not_make_it_look_lost():
    async def scenario():
        async with asyncio.timeout(20), scripted(FINE) as port:  # QUIT is never answered
            return await sent(pager(port))

    assert asyncio.run(scenario()) == Receipt("<netwatch/na-tau.1842.1@noc.example.vn>")


@given(st.text(max_size=300), st.text(max_size=300), st.text(max_size=80))
def test_no_word_of_a_device_can_begin_a_header(title, body, key):
    made = compose(page(key=key), PageText(title=title, body=body, sms=""), SENDER, ("a@one.vn",), "<a@b>\r\nBcc: x@y")
    parsed = email.message_from_bytes(made, policy=email.policy.SMTP)
    assert made.isascii()
    assert set(parsed.keys()) == {
        "From", "To", "Subject", "Date", "Message-ID", "In-Reply-To", "References", "Auto-Submitted", "X-Netwatch-Key", "X-Priority",
        "Content-Type", "Content-Transfer-Encoding", "MIME-Version",
    }  # fmt: skip
    assert not parsed.defects
    assert max(map(len, made.split(b"\r\n"))) <= 998


@given(st.text(max_size=400))
def test_a_message_id_is_one_whatever_the_key(key):
    made = message_id(page(key=key), SENDER)
    assert made.isascii()
    assert made.isprintable()
    assert " " not in made
    assert made.count("<") == made.count(">") == made.count("@") == 1


@pytest.mark.parametrize(
    "options",
    [
        {"recipients": []},
        {"recipients": ["a b@c.vn"]},
        {"recipients": ["a@c.vn\r\nBcc: d@e.vn"]},
        {"sender": "netwatch"},
        {"host": "mail vn"},
        {"tls": "ssl"},
        {"ca_file": "/nowhere.pem"},
        {"tls": "none", "username": "a", "password": "canary"},
    ],
)
def test_what_cannot_work_is_refused_at_load(options):
    with pytest.raises(PagerMisconfigured) as refused:
        pager(25, **options)
    assert "canary" not in str(refused.value)


def test_the_log_holds_no_password(caplog):
    caplog.set_level(logging.DEBUG)

    async def scenario():
        async with real_server(Inbox()) as port:
            await sent(pager(port, tls="starttls", username="canary", password=Secret("canary")))

    with pytest.raises(Busy):
        asyncio.run(scenario())
    assert "canary" not in caplog.text
