"""`netwatch notify`, and what a reload does to pagers: with a real daemon and real receivers."""

import json
import signal

import pytest

from tests.test_daemon import SECRET, Place, accepting, pages, receiving, wait_until  # noqa: F401  # `pages` is a fixture


@pytest.fixture
def others():
    with receiving() as server:
        yield server


def entry(name, url, more=""):
    return f'  {name}: {{pager: webhook, url: "{url}", secret: "{SECRET}"{more}}}\n'


def place_with(tmp_path, tcp, url, *entries):
    """A place whose inventory has these pagers besides `noc`."""
    place = Place(tmp_path, tcp=tcp, webhook=url)
    text = place.inventory.read_text("utf-8")
    place.write(text=text.replace("profiles:\n", "".join(entries) + "profiles:\n", 1))
    return place


def test_pagers_are_listed_tried_and_unknown_ones_named(tmp_path, pages):  # noqa: F811  # the fixture
    with accepting() as tcp:
        place = place_with(tmp_path, tcp, pages.url, entry("gone", "http://127.0.0.1:9/canary", ", fallback: noc"))
        try:
            place.start()
            listed = place.ask("notify", "list")
            assert listed.returncode == 0
            assert "if late or refusing, then noc" in listed.stdout
            (noc, gone) = json.loads(place.ask("notify", "list", "-o", "json").stdout)["records"]
            assert (noc["name"], noc["kind"], noc["stands_by"], noc["trial"]) == ("noc", "webhook", True, None)
            assert (gone["name"], gone["fallback"], gone["waiting"]) == ("gone", "noc", 0)
            assert place.ask("notify", "list", "-o", "csv").stdout.splitlines()[0].startswith("name,kind,fallback")
            tried = place.ask("notify", "test", "noc")
            assert (tried.returncode, "took the trial" in tried.stdout) == (0, True)
            assert pages.wait_for("recover", "trial/noc")["text"]["title"] == "🔵 Trial of pager noc, as asked: fine"
            failed = place.ask("notify", "test", "gone", "-o", "json")
            assert failed.returncode == 1
            assert json.loads(failed.stdout)["ok"] is False
            assert "cannot connect" in failed.stderr
            unknown = place.ask("notify", "test", "nobody")
            assert (unknown.returncode, "noc, gone" in unknown.stderr) == (66, True)
            assert "canary" not in listed.stdout + failed.stderr + failed.stdout + place.logs()
        finally:
            place.close()
    assert place.ask("notify", "list").returncode == 69


def test_the_outbox_shows_what_waits_for_whom_and_why(tmp_path):
    with accepting() as tcp:
        place = Place(tmp_path, tcp=tcp)  # nobody listens at its pager
        place.start()
        try:
            assert place.ask("notify", "outbox").stdout == "No page waits.\n"
        finally:
            pass
    try:
        wait_until(lambda: "na-tau" in place.ask("notify", "outbox", "-o", "jsonl").stdout)
        (waiting,) = json.loads(place.ask("notify", "outbox", "-o", "json").stdout)["records"]
        assert (waiting["kind"], waiting["owed"], waiting["taken"]) == ("open", ["noc"], [])
        wait_until(lambda: "cannot connect" in place.ask("notify", "outbox").stdout)
    finally:
        place.close()


def test_a_pager_that_a_reload_adds_is_told_of_what_is_open_and_of_its_end(tmp_path, pages, others):  # noqa: F811  # the fixture
    with accepting() as tcp:
        place = Place(tmp_path, tcp=tcp, webhook=pages.url)
        daemon = place.start()
    try:
        opened = pages.wait_for("open")
        text = place.inventory.read_text("utf-8")
        place.write(text=text.replace("profiles:\n", entry("later", others.url) + "profiles:\n", 1))
        assert place.ask("reload").returncode == 0
        assert others.wait_for("open")["incident"]["id"] == opened["incident"]["id"]
        daemon.send_signal(signal.SIGKILL)
        daemon.wait(10)
        with accepting(tcp):
            place.start()
            assert others.wait_for("recover")["incident"]["key"] == opened["incident"]["key"]
            pages.wait_for("recover")
        assert [page["kind"] for page in pages.pages if page["incident"]["cause"]["type"] != "netwatch"].count("open") == 1
    finally:
        place.close()
