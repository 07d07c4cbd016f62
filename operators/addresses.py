"""Which hosts may be asked: those of the public internet, and others that are allowed by name.

Addresses are those of the IANA special-purpose registries (RFC 6890). An IPv4 address inside an
IPv6 one (mapped, NAT64, 6to4) is judged as itself.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

SPECIAL_V4 = [
    ip_network(network)
    for network in (
        "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 "
        "192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 "
        "224.0.0.0/3"
    ).split()
]
GLOBAL_V6 = ip_network("2000::/3")
SPECIAL_V6 = [ip_network(network) for network in ("2001::/23", "2001:db8::/32", "3fff::/20")]

_ENDS_IN_V4 = [ip_network("::ffff:0:0/96"), ip_network("64:ff9b::/96")]  # mapped, NAT64
_6TO4 = ip_network("2002::/16")
_OF_CLOUDS = frozenset((IPv4Address("168.63.129.16"),))  # public, but Azure's own inside Azure
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)

Address = IPv4Address | IPv6Address


def is_public(address: Address) -> bool:
    """Whether the address is one of the public internet, in any wrapping."""
    if isinstance(address, IPv4Address):
        special = any(address in network for network in SPECIAL_V4)
        return not special and address not in _OF_CLOUDS
    if any(address in network for network in _ENDS_IN_V4):
        return is_public(IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _6TO4:
        return is_public(IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    return address in GLOBAL_V6 and not any(address in network for network in SPECIAL_V6)


def literal(host: str) -> Address | None:
    """The address that a URL's host spells out, None for a name.

    As browsers and `inet_aton` read it, 2130706433, 0x7f.1 and 0177.0.0.1 are 127.0.0.1.

    Raises:
        ValueError: the host ends in a number, as only an address may, and is none.
    """
    if ":" in host:
        return ip_address(host)
    labels = host.rstrip(".").split(".")
    if not _NUMBER.fullmatch(labels[-1]):
        return None
    try:
        return IPv4Address(socket.inet_aton(".".join(labels)))
    except OSError:
        raise ValueError(f"no address: {host}") from None


class Allowed:
    """Hosts that may be asked although their address is private: `host` or `host:port`.

    A host is allowed as it stands in the URL: allowing 127.0.0.1 allows no name that leads there.
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._hosts = frozenset(_host_and_port(entry) for entry in entries)

    def __contains__(self, place: tuple[str, int]) -> bool:
        """Whether a host, as in the URL, may be asked at a port."""
        host, port = place[0].rstrip(".").lower(), place[1]
        return (host, port) in self._hosts or (host, None) in self._hosts


_ENTRY = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:/@\[\]]+))(?::([0-9]{1,5}))?", re.IGNORECASE)


def _host_and_port(entry: str) -> tuple[str, int | None]:
    match = _ENTRY.fullmatch(entry)
    if not match or int(match[3] or 0) > 65535:
        raise ValueError(f"'{entry}' is no host: write host, host:port or [IPv6 address]:port")
    host = (match[1] or match[2]).rstrip(".").lower()
    return str(literal(host) or host), int(match[3]) if match[3] else None
