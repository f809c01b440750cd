"""What `test:` of a line may say of each method of testing, and what goes without saying."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from netwatch.inventory._addresses import WrongAddress, address
from netwatch.inventory._collect import Collector, Where
from netwatch.inventory._line_schema import LineTestEntry, Method

__all__ = ["USUAL_PORTS", "address_in_url", "at_key", "directions_of", "fits", "laid_over", "method_of", "secret_of"]

USUAL: Method = "udp"
USUAL_PORTS: Mapping[Method, int] = {"udp": 8621, "tcp": 8621, "iperf3": 5201, "router": 443}
# Of the keys that not every method takes.
TAKES: Mapping[Method, frozenset[str]] = {
    "udp": frozenset({"port", "token", "dial_in_port"}),
    "tcp": frozenset({"port", "token", "streams"}),
    "iperf3": frozenset({"port", "streams"}),
    "http": frozenset({"url", "streams"}),
    "router": frozenset({"port", "streams", "user", "password", "fetch_port", "verify", "ca_file"}),
}
NEEDS: Mapping[Method, tuple[str, ...]] = {"udp": ("token",), "tcp": ("token",), "router": ("user", "password")}
SECRETS: Mapping[Method, str] = {"udp": "token", "tcp": "token", "router": "password"}
OF_SOME = frozenset[str]().union(*TAKES.values())
FAR_END = frozenset({"device", "host", "address"})
SCHEMES = {"http", "https"}


def method_of(entry: LineTestEntry) -> Method:
    return entry.method or USUAL


def directions_of(entry: LineTestEntry) -> Literal["both", "down", "up"]:
    """A router fetches; it is not known to send."""
    return entry.directions or ("down" if entry.method == "router" else "both")


def secret_of(entry: LineTestEntry) -> tuple[str, str] | None:
    """Its name and itself; None for a method without one."""
    name = SECRETS.get(method_of(entry))
    return (name, getattr(entry, name)) if name is not None else None


def laid_over(lower: LineTestEntry, upper: LineTestEntry) -> LineTestEntry:
    """By key; but there is one far end, so to name another is to leave the first, and to name a method is to leave what only another takes."""
    left_out: set[str] = set()
    if upper.model_fields_set & FAR_END or address_in_url(upper) is not None:
        left_out |= FAR_END
    if upper.model_fields_set & {"device", "host"}:
        left_out.add("dial_in_port")
    if upper.method is not None and upper.method != method_of(lower):
        left_out |= OF_SOME - TAKES[upper.method]
        if upper.method == "router":
            left_out.add("directions")
        if USUAL_PORTS.get(upper.method) != USUAL_PORTS.get(method_of(lower)):
            left_out.add("port")
    merged = {name: getattr(lower, name) for name in lower.model_fields_set - left_out}
    merged |= {name: getattr(upper, name) for name in upper.model_fields_set}
    return LineTestEntry.model_construct(set(merged), **merged)


def fits(entry: LineTestEntry, where: Where, collector: Collector) -> bool:
    """Whether all that is written goes together; a complaint for each thing that does not."""
    found = list(_misfits(entry))
    for key, complaint, fields in found:
        if complaint == "missing":
            collector.error(where, complaint, name=key)
        elif key:
            collector.error(at_key(where, key), complaint, at_key=False, hint="", name="", **fields)
        else:
            collector.error(where, complaint, at_key=True, hint="", name="", **fields)
    return not found


def _misfits(entry: LineTestEntry) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    """Key, complaint, its fields."""
    method = method_of(entry)
    for key in sorted(OF_SOME - TAKES[method]):
        if getattr(entry, key) is not None:
            others = ", ".join(name for name, takes in TAKES.items() if key in takes)
            yield key, "line_test_not_of_method", {"word": key, "method": method, "methods": others}
    for key in NEEDS.get(method, ()):
        if getattr(entry, key) is None:
            yield key, "missing", {}
    if method == "router" and entry.directions in {"both", "up"}:
        yield "directions", "line_test_router_up", {}
    if entry.dial_in_port is not None:
        for key in ("device", "host", "port"):
            if getattr(entry, key) is not None:
                yield key, "line_test_dial_in", {"word": key}
    if method == "http":
        yield from _url_misfits(entry)


def _url_misfits(entry: LineTestEntry) -> Iterator[tuple[str, str, Mapping[str, str]]]:
    if entry.url is None:
        yield "", "line_test_no_url", {}
        return
    found = _split(entry.url)
    if found is None:
        yield "url", "line_test_url", {}
    elif "@" in found.netloc:
        yield "url", "line_test_url_password", {}
    elif all(getattr(entry, key) is None for key in FAR_END) and address_in_url(entry) is None:
        yield "url", "line_test_url_host", {"word": found.hostname or ""}


def _split(url: str) -> SplitResult | None:
    """None for what no HTTP client could ask for."""
    try:
        found = urlsplit(url)
        usable = found.scheme in SCHEMES and bool(found.hostname) and found.port != 0
    except ValueError:
        return None
    return found if usable and url.isascii() and url.isprintable() and " " not in url else None


def address_in_url(entry: LineTestEntry) -> str | None:
    """The far end, where the URL holds its address and not a name."""
    found = _split(entry.url) if entry.url is not None else None
    try:
        return str(address(found.hostname or "")) if found is not None else None
    except WrongAddress:
        return None


def at_key(where: Where, key: str) -> Where:
    """The spot of a key, or of what is around it where the key stands elsewhere: in the defaults, or in the role."""
    document, path = where
    return (document, (*path, key)) if (*path, key) in document.marks else where
