"""The evidence ledger: it only grows, a kill loses nothing that was told as written, and no change goes unseen."""

import base64
import contextlib
import hashlib
import json
import math
import multiprocessing
import resource
import signal
import stat
import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netwatch import ledger as ledgers
from netwatch.ledger import EMPTY_SEAL, BadHead, BadKey, Head, Key, Ledger, LedgerRefused, canonical, head_of, next_seal, parse, verify

OURS = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def record(number, site="na-tau"):
    return {"schema": "netwatch/v1/line-record", "site": site, "verdict": "proved", "bytes": 1000 + number, "note": "Nà Tấu"}


@pytest.fixture
def ledger(tmp_path):
    return Ledger(tmp_path)


@pytest.fixture
def five(ledger):
    for number in range(1, 6):
        ledger.append(record(number))
    return ledger


def codes(ledger, **given_):
    return [(flaw.number, flaw.code) for flaw in verify(ledger.path, **given_).flaws]


def rewrite(ledger, change):
    ledger.path.write_bytes(b"".join(line + b"\n" for line in change(list(ledgers.lines(ledger.path)))))


def resealed(lines, key=None):
    """What a forger would do who knows how the chain is made; with a key, who has the key too."""
    made, previous = [], EMPTY_SEAL
    for number, line in enumerate(lines, 1):
        entry = parse(line)
        whole = {**entry.record, "number": number, "previous": previous, **({"key": key.public} if key else {})}
        raw = canonical(whole)
        previous = next_seal(previous, hashlib.sha256(raw).hexdigest())
        signature = key.sign(raw) if key else entry.signature
        made.append(b"%b %b %b" % (previous.encode(), base64.b64encode(signature), raw))
    return made


def forged(line, **changes):
    entry = parse(line)
    return b"%b %b %b" % (entry.seal.encode(), base64.b64encode(entry.signature), canonical({**entry.record, **changes}))


def test_records_follow_each_other_and_are_sound(five):
    entries = [parse(line) for line in ledgers.lines(five.path)]
    assert [one.number for one in entries] == [1, 2, 3, 4, 5]
    assert [one.previous for one in entries] == [EMPTY_SEAL, *(one.seal for one in entries[:-1])]
    assert all(one.record["note"] == "Nà Tấu" for one in entries)
    assert codes(five) == []
    assert verify(five.path).head == ledgers.head(five.path) == Head(5, entries[-1].seal)


def test_the_key_is_made_with_the_first_record_and_only_its_owner_reads_it(ledger):
    entry = ledger.append(record(1))
    key = ledger.path.parent / ledgers.KEY_NAME
    for path in (key, ledger.path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert ledgers.key_in(key.parent) == entry.record["key"]
    assert [path.name for path in key.parent.iterdir() if path.name.startswith(".")] == []


def test_a_second_ledger_object_goes_on_with_the_same_chain_and_key(five, tmp_path):
    entry = Ledger(tmp_path).append(record(6))
    assert entry.number == 6
    assert codes(five) == []


def test_a_lost_key_is_not_replaced_in_silence(five):
    (five.path.parent / ledgers.KEY_NAME).unlink()
    before = five.path.read_bytes()
    with pytest.raises(LedgerRefused) as refused:
        five.append(record(6))
    assert refused.value.code == "key_missing"
    assert five.path.read_bytes() == before


@pytest.mark.parametrize("content", [b"", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", b"\xff\xfe"])
def test_a_key_file_that_is_none_is_refused(five, content):
    (five.path.parent / ledgers.KEY_NAME).write_bytes(content)
    with pytest.raises(LedgerRefused) as refused:
        five.append(record(6))
    assert refused.value.code == "key_bad"
    assert ledgers.key_in(five.path.parent) is None


def test_a_public_key_is_taken_as_a_file_or_as_its_line(five):
    public = verify(five.path).public
    assert ledgers.public_of(ledgers.pem(public)) == ledgers.public_of(f"  {public}\n") == public
    assert codes(five, public=public) == []
    for wrong in ("", "x", public[:-4], base64.b64encode(b"x" * 44).decode()):
        with pytest.raises(BadKey):
            ledgers.public_of(wrong)


def test_a_changed_record_is_found(five):
    rewrite(five, lambda lines: [*lines[:2], forged(lines[2], verdict="refuted"), *lines[3:]])
    assert codes(five) == [(3, "seal")]


def test_a_changed_record_sealed_anew_is_found(five):
    def change(lines):
        return [*lines[:2], *resealed([*lines[:2], forged(lines[2], bytes=1)])[2:], *lines[3:]]

    rewrite(five, change)
    assert codes(five) == [(3, "signature"), (4, "link")]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda lines: [*lines[:2], *lines[3:]], [(4, "order")]),
        (lambda lines: lines[1:], [(2, "order")]),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], [(3, "order"), (2, "order"), (4, "order")]),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], [(3, "order")]),
        (lambda lines: [*lines[:2], b"", *lines[3:]], [(3, "malformed")]),
        (lambda lines: [*lines[:2], lines[2].replace(b'"bytes":', b'"bytes": '), *lines[3:]], [(3, "malformed")]),
        (lambda lines: [*lines[:2], lines[2].replace(b"{", b'{"aaa":1,"aaa":1,'), *lines[3:]], [(3, "malformed")]),
        (lambda lines: [*lines[:2], b"0" + lines[2][1:] if lines[2][:1] != b"0" else b"1" + lines[2][1:], *lines[3:]], [(3, "seal")]),
    ],
)
def test_what_is_removed_moved_doubled_or_rewritten_is_found(five, change, expected):
    rewrite(five, change)
    assert codes(five)[: len(expected)] == expected


def test_a_whole_chain_recomputed_without_the_key_is_found_by_its_signatures(five):
    rewrite(five, lambda lines: resealed([lines[0], forged(lines[1], bytes=1), *lines[2:]]))
    assert codes(five) == [(number, "signature") for number in (2, 3, 4, 5)]


def test_a_whole_chain_recomputed_with_another_key_is_found_by_the_printed_key(five, tmp_path):
    public = verify(five.path).public
    other = Key.made_in(tmp_path)
    rewrite(five, lambda lines: resealed([lines[0], forged(lines[1], bytes=1), *lines[2:]], other))
    assert codes(five) == []
    assert codes(five, public=public) == [(number, "signature") for number in (1, 2, 3, 4, 5)]


def test_a_whole_chain_recomputed_with_the_key_itself_is_found_by_a_printed_head(five):
    printed = [parse(line) for line in ledgers.lines(five.path)]
    public = verify(five.path).public
    key = Key.read_from(five.path.parent)
    rewrite(five, lambda lines: resealed([*lines[:2], forged(lines[2], bytes=1), *lines[3:]], key))
    assert codes(five, public=public) == []
    for entry in printed[2:]:
        assert codes(five, public=public, head=Head(entry.number, entry.seal)) == [(entry.number, "head")]
    for entry in printed[:2]:  # sheets printed before it still hold
        assert codes(five, public=public, head=Head(entry.number, entry.seal)) == []


def test_records_cut_off_at_the_end_are_found_by_a_printed_head(five):
    head = ledgers.head(five.path)
    rewrite(five, lambda lines: lines[:4])
    assert codes(five) == []
    assert codes(five, head=head) == [(5, "head")]
    assert codes(five, head=Head(0, head.seal)) == [(4, "head")]
    newest = ledgers.head(five.path)
    assert codes(five, head=Head(newest.number - 1, newest.seal)) == [(3, "head")]


def test_a_head_is_read_as_it_is_printed(five):
    head = ledgers.head(five.path)
    for text in (str(head), f" {head.number} : {head.seal[:32]} {head.seal[32:]}\n".upper()):
        assert head_of(text) == head
    assert head_of(head.seal) == Head(0, head.seal)
    for wrong in ("", "5", f"x:{head.seal}", head.seal[:-1], head.seal + "0"):
        with pytest.raises(BadHead):
            head_of(wrong)


@OURS
@given(st.data())
def test_no_changed_byte_goes_unseen(five, data):
    body = bytearray(five.path.read_bytes())
    head, public = ledgers.head(five.path), ledgers.key_in(five.path.parent)
    place = data.draw(st.integers(0, len(body) - 1))
    was = body[place]
    body[place] = data.draw(st.integers(0, 255).filter(lambda byte: byte != was))
    copy = five.path.with_name("copy")
    copy.write_bytes(body)
    assert not verify(copy, public=public, head=head).sound


@OURS
@given(st.integers(0, 5_000))
def test_a_ledger_cut_off_anywhere_goes_on_from_its_last_whole_record(five, tmp_path_factory, cut):
    body = five.path.read_bytes()
    cut = cut % len(body)
    again = Ledger(tmp_path_factory.mktemp("cut"))
    again.path.parent.mkdir()
    (again.path.parent / ledgers.KEY_NAME).write_bytes((five.path.parent / ledgers.KEY_NAME).read_bytes())
    again.path.write_bytes(body[:cut])
    whole = body[:cut].count(b"\n")
    finished = bool(body[:cut]) and body[cut : cut + 1] == b"\n"  # only the end of the line is missing
    entry = again.append(record(99))
    assert entry.number == whole + finished + 1
    assert codes(again) == []
    assert again.path.read_bytes().startswith(body[:cut] if finished else body[: body.rfind(b"\n", 0, cut) + 1])
    torn = again.path.parent / "torn"
    lost = b"" if finished else body[body.rfind(b"\n", 0, cut) + 1 : cut]
    assert (torn.read_bytes() if torn.exists() else b"").partition(b" ")[2].rstrip(b"\n") == lost


@pytest.mark.parametrize("tail", [b"\0" * 100, b"\0" * 100 + b"\n", b"ab\0\n\0", b"{" * 70_000, b"\xff\n"[:1]])
def test_what_a_power_cut_leaves_is_set_aside_not_sealed(five, tail):
    with five.path.open("ab") as file:
        file.write(tail)
    assert ledgers.head(five.path).number == 5
    assert five.append(record(6)).number == 6
    assert codes(five) == []
    assert (five.path.parent / "torn").exists()


def test_only_the_next_record_is_ended_where_its_end_of_line_is_missing(five, tmp_path_factory):
    lines = list(ledgers.lines(five.path))
    again = Ledger(tmp_path_factory.mktemp("again"))
    again.path.parent.mkdir()
    (again.path.parent / ledgers.KEY_NAME).write_bytes((five.path.parent / ledgers.KEY_NAME).read_bytes())
    for tail in (lines[1], forged(lines[4], bytes=1)):  # an old one; the next one, changed
        again.path.write_bytes(b"".join(line + b"\n" for line in lines[:4]) + tail)
        assert again.append(record(9)).number == 5
        assert codes(again) == []
        assert (again.path.parent / "torn").read_bytes().endswith(tail + b"\n")


@pytest.mark.parametrize("line", [b"nonsense\n", b"\n"])
def test_on_a_damaged_ledger_nothing_is_built(five, line):
    with five.path.open("ab") as file:
        file.write(line)
    with pytest.raises(LedgerRefused) as refused:
        five.append(record(6))
    assert refused.value.code == "damaged"
    assert codes(five) == [(6, "malformed")]


def test_a_last_record_that_was_changed_is_not_built_upon(five):
    rewrite(five, lambda lines: [*lines[:4], forged(lines[4], bytes=1)])
    with pytest.raises(LedgerRefused):
        five.append(record(6))


def test_what_is_being_written_just_now_is_not_read(five):
    with five.path.open("ab") as file:
        file.write(b"half a rec")
    assert len(list(ledgers.lines(five.path))) == 5
    assert codes(five) == []


def test_a_record_larger_than_a_block_is_found_at_the_end(ledger):
    big = {**record(1), "bins": list(range(60_000))}
    ledger.append(big)
    assert ledger.append(big).number == 2
    assert ledger.append(record(3)).number == 3
    assert ledgers.head(ledger.path).number == 3
    assert codes(ledger) == []


def test_a_record_beyond_all_measure_is_refused(ledger):
    with pytest.raises(LedgerRefused) as refused:
        ledger.append({"note": "x" * (5 << 20)})
    assert refused.value.code == "too_long"
    assert ledgers.head(ledger.path) is None


def test_records_are_found_from_the_end_and_by_site(five):
    five.append(record(6, "pu-nhi"))
    five.append({**record(7), "note": {"site": "pu-nhi"}})
    assert [one.number for one in ledgers.newest_first(five.path)] == [7, 6, 5, 4, 3, 2, 1]
    assert [one.number for one in ledgers.of_site(five.path, "na-tau")] == [7, 5, 4, 3, 2, 1]
    assert [one.number for one in ledgers.of_site(five.path, "pu-nhi")] == [6]
    assert list(ledgers.of_site(five.path, "xa-dung")) == []


def test_the_sums_of_other_records_lead_to_the_head(five):
    entries = list(ledgers.newest_first(five.path))[::-1]
    for first in entries:
        seal = first.previous
        for one in ledgers.sums_between(five.path, first.number, 5):
            seal = next_seal(seal, one)
        assert seal == entries[-1].seal
    assert ledgers.sums_between(five.path, 2, 3) == [entries[1].sha256, entries[2].sha256]
    assert ledgers.sums_between(five.path, 9, 12) == ledgers.sums_between(five.path, -3, 5) == []


def test_an_empty_ledger_has_no_records(tmp_path):
    (tmp_path / "records").touch()
    assert list(ledgers.newest_first(tmp_path / "records")) == []
    assert verify(tmp_path / "records") == ledgers.Report(0, None, "", ())


def test_no_ledger_has_no_head(tmp_path):
    assert ledgers.head(tmp_path / "none") is None
    with pytest.raises(FileNotFoundError):
        verify(tmp_path / "none")


def _full_disk(directory, answer):
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, 4_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    ledger, written = Ledger(directory), 0
    with contextlib.suppress(LedgerRefused):
        while True:
            ledger.append(record(written))
            written += 1
    answer.send(written)


def test_a_disk_that_is_full_leaves_no_half_record(tmp_path):
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=_full_disk, args=(tmp_path, theirs))
    child.start()
    assert ours.poll(60)
    written = ours.recv()
    child.join(60)
    ledger = Ledger(tmp_path)
    assert ledger.path.read_bytes().endswith(b"\n")
    assert ledgers.head(ledger.path).number == written > 0
    assert ledger.append(record(0)).number == written + 1
    assert codes(ledger) == []


APPENDING = """
import sys
from pathlib import Path
from netwatch.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
while True:
    print(ledger.append({"site": "na-tau", "bins": list(range(3000))}).number, flush=True)
"""


def test_killed_again_and_again_nothing_told_as_written_is_lost(tmp_path):
    told = 0
    for turn in range(8):
        with subprocess.Popen([sys.executable, "-c", APPENDING, str(tmp_path)], stdout=subprocess.PIPE) as child:
            for _ in range(turn + 2):
                told = int(child.stdout.readline())
            child.kill()
            told = max([told, *(int(line) for line in child.stdout.read().split() if line)])
    ledger = Ledger(tmp_path)
    entry = ledger.append(record(0))
    assert entry.number >= told + 1
    assert codes(ledger) == []


def test_two_processes_that_append_at_once_make_one_chain(tmp_path):
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(subprocess.Popen([sys.executable, "-c", APPENDING, str(tmp_path)], stdout=subprocess.PIPE))
            for _ in range(2)
        ]
        for child in children:
            for _ in range(5):
                assert child.stdout.readline()
        for child in children:
            child.kill()
    ledger = Ledger(tmp_path)
    assert ledger.append(record(0)).number >= 11
    assert codes(ledger) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5))
def test_a_record_has_one_form(given_):
    raw = canonical(given_)
    assert canonical(json.loads(raw)) == raw
    assert b"\n" not in raw
    assert canonical(dict(reversed(given_.items()))) == raw


def test_what_is_not_finite_is_nothing():
    assert canonical({"a": math.inf, "b": math.nan, "c": 2.0, "d": (0.5,)}) == b'{"a":null,"b":null,"c":2,"d":[0.5]}'


@given(st.binary(max_size=300))
def test_no_line_upsets_the_reader(line):
    assert parse(line) is None


def test_openssl_and_sha256sum_come_to_the_same(five, tmp_path):
    """As docs/evidence-of-a-line.md says it."""
    script = """
set -eu
records=$1 key=$2
seal=$(printf '0%.0s' $(seq 64))
printf -- '-----BEGIN PUBLIC KEY-----\\n%s\\n-----END PUBLIC KEY-----\\n' "$key" > key.pub
while read -r given signature record; do
  printf %s "$record" > record.json
  printf %s "$signature" | base64 -d > record.sig
  openssl pkeyutl -verify -pubin -inkey key.pub -rawin -in record.json -sigfile record.sig > said
  sum=$(sha256sum record.json | cut -d' ' -f1)
  seal=$(printf %s "$seal$sum" | sha256sum | cut -d' ' -f1)
  [ "$seal" = "$given" ]
done < "$records"
echo "$seal"
"""
    public = ledgers.key_in(five.path.parent)
    command = ["bash", "-c", script, "bash", str(five.path), public]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == ledgers.head(five.path).seal
