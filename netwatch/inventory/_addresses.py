"""Addresses and the plan they come from. Pure; what is wrong is a `WrongAddress` with the key of its text."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias

from ipaddress import IPv4Network, IPv6Network  # isort: skip  # with the aliases below

__all__ = ["Address", "Network", "WrongAddress", "address", "host", "network", "site_network"]

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

_OCTAL = re.compile(r"(^|\.)0[0-9]")
_PLACEHOLDER = re.compile(r"\{(n|high|low)\}")
MAX_HOST_BITS = 16  # a site of 65,536 addresses is a slip of the pen, not a plan


class WrongAddress(ValueError):
    def __init__(self, key: str, **fields: str) -> None:
        self.key = key
        self.fields = fields
        super().__init__(key)


def address(text: str) -> Address:
    """One address a site may have: written plainly, and of one host."""
    short = text[:60]
    if "%" in text:
        raise WrongAddress("address_zone", value=short)
    if _OCTAL.search(text) and ":" not in text:
        raise WrongAddress("address_octal", value=short)
    try:
        found = ip_address(text)
    except ValueError:
        raise WrongAddress("address_shape", value=short) from None
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        raise WrongAddress("address_mapped", value=short, plain=str(found.ipv4_mapped))
    if found.is_unspecified or found.is_multicast or found.is_reserved or (found.version == 4 and found in _THIS_NETWORK):
        raise WrongAddress("address_not_a_host", value=short)
    return found


_THIS_NETWORK = ip_network("0.0.0.0/8")


@lru_cache(maxsize=8192)
def network(text: str) -> Network:
    """A site's network: no host bits, and neither everything nor a single host."""
    short = text[:60]
    if "%" in text:
        raise WrongAddress("address_zone", value=short)
    if "/" not in text:
        raise WrongAddress("network_no_prefix", value=short)
    if ":" not in text and _OCTAL.search(text.split("/", maxsplit=1)[0]):
        raise WrongAddress("address_octal", value=short)
    prefix = text.rpartition("/")[2]
    try:
        found = ip_network(text, strict=False)
    except ValueError:
        raise WrongAddress("network_shape", value=short) from None
    if not prefix.isascii() or not prefix.isdigit():
        raise WrongAddress("network_shape", value=short)
    if ip_address(text.rpartition("/")[0]) != found.network_address:
        raise WrongAddress("network_host_bits", value=short, plain=str(found))
    if not 2 <= found.max_prefixlen - found.prefixlen <= MAX_HOST_BITS:
        raise WrongAddress("network_size", value=short)
    if found.network_address.is_multicast or found.network_address.is_unspecified or found.network_address.is_reserved:
        raise WrongAddress("address_not_a_host", value=short)
    return found


def site_network(template: str, number: int) -> Network:
    """The network of site `number`: `{n}` is the number; `{high}` and `{low}` are its two octets, for more than 255 sites."""
    if not _PLACEHOLDER.search(template):
        raise WrongAddress("plan_no_n", value=template[:60])
    high, low = divmod(number, 256)
    filled = template.replace("{n}", str(number)).replace("{high}", str(high)).replace("{low}", str(low))
    if "{" in filled or "}" in filled:
        raise WrongAddress("plan_placeholder", value=template[:60])
    try:
        return network(filled)
    except WrongAddress as wrong:
        raise _of_plan(wrong, template) from None


def _of_plan(wrong: WrongAddress, template: str) -> WrongAddress:
    """What is wrong with one site's network, said of the plan: the advice keeps its {n}."""
    value = template[:60]
    if wrong.key not in {"network_shape", "network_host_bits"}:
        return WrongAddress(wrong.key, **(wrong.fields | {"value": value}))
    octets = zip(template.rpartition("/")[0].split("."), wrong.fields.get("plain", "").split("."), strict=False)
    plain = ".".join(planned if "{" in planned else found for planned, found in octets)
    try:
        network(_PLACEHOLDER.sub("1", plain))
    except WrongAddress:
        return WrongAddress("plan_shape", value=value)
    return WrongAddress(wrong.key, value=value, plain=plain)


def host(net: Network, number: int) -> Address:
    """Host `number` of a network."""
    last = net.num_addresses - (2 if net.version == 4 else 1)
    if not 1 <= number <= last:
        raise WrongAddress("host_outside", value=str(number), network=str(net), last=str(last))
    return net.network_address + number
