"""What people do outlives the daemon: by the command line, against a real one that is killed."""

import json
import signal

import pytest

from tests.test_daemon import Place, accepting, pages, wait_until

__all__ = ["pages", "place"]


@pytest.fixture
def place(tmp_path, pages):  # the fixture is asked for by its name
    with accepting() as tcp:
        pass
    made = Place(tmp_path, tcp=tcp, webhook=pages.url)
    made.write(text=made.inventory.read_text("utf-8").replace("language: en\n", "language: en\npage_url: https://nw.example.vn\n"))
    yield made
    made.close()


def test_an_acknowledgement_a_silence_and_the_links_key_survive_kill(place, pages):  # the same
    daemon = place.start()
    pages.wait_for("open")
    page = pages.pages[0]
    number, link = page["incident"]["id"], page["text"]["acknowledge_url"]
    assert link.startswith(f"https://nw.example.vn/a/{number}?k=")
    assert place.ask("ack", str(number), "--eta", "45m", "--who", "Trực ca A").returncode == 0
    made = place.ask("silence", "add", "na-tau", "--for", "2h", "-m", "x", "--yes")
    assert (made.returncode, made.stdout[:9]) == (0, "Silence 1"), made.stderr
    wait_until(lambda: len(json.loads(place.ask("audit", "-o", "json").stdout)["records"]) == 2)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(10)
    key = (place.state / "link.key").read_bytes()
    place.start()
    assert (place.state / "link.key").read_bytes() == key
    found = json.loads(place.ask("alerts", "show", str(number), "-o", "json").stdout)
    assert found["acknowledgement"]["who"] == "Trực ca A"
    assert [one["id"] for one in json.loads(place.ask("silence", "list", "-o", "json").stdout)["records"]] == [1]
