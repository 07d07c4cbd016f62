"""Personal data in text: where it stands, so that an export can mask it.

Found are e-mail addresses, IP addresses, phone numbers, and numbers that stand for a person or an
account. What each finder takes and leaves is in `contacts` and `identity_numbers`. Most nodes hold
nothing: a compiled pass over their bytes lets through only those with an @, three dots or two
colons between digits, or seven digits close together.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from operators.base import Operator, measured
from operators.compiled import compiled
from operators.contacts import emails, ip_addresses, phones
from operators.identity_numbers import Extent, identity_numbers
from operators.text import Bytes, Offsets, utf8
from schemas import columns
from schemas.columns import PII_KINDS

Ends = npt.NDArray[np.int64]
Flags = npt.NDArray[np.uint8]

# Full-width signs, digits of Arabic and Persian, and the many hyphens and spaces, as ASCII; one
# character for one, so that places stay what they are.
_ASCII: dict[int, int | str] = {
    **{0xFF01 + n: 0x21 + n for n in range(94)},
    **{0x0660 + n: 0x30 + n for n in range(10)},
    **{0x06F0 + n: 0x30 + n for n in range(10)},
    **dict.fromkeys(range(0x2010, 0x2016), "-"),
    **dict.fromkeys([0x00A0, *range(0x2000, 0x200B), 0x202F, 0x3000, 0x09], " "),
}
_AT, _ADDRESS, _NUMBER = 1, 2, 4


class Span(NamedTuple):
    """Personal data in a node's text: kind, start and end in characters."""

    kind: str
    start: int
    end: int


class Pii(Operator[None]):
    """Counts and places of personal data: e-mail and IP addresses, phone and identity numbers.

    Addresses and numbers that are kept for documentation are none. Where findings overlap, the
    surer kind counts: e-mail, then identity number, IP address, phone number.
    """

    name = "pii"
    version = 1
    reads = columns.schema("nodes")
    writes = columns.schema(
        "pii_email_count", "pii_ip_count", "pii_phone_count", "pii_id_count", "node_pii"
    )

    private_ips: bool = Field(
        False, description="count addresses of private, loopback and documentation networks too"
    )

    def setup(self) -> None:
        """The loop is compiled here, not on the time of the first documents."""
        _suspicions(*utf8(pa.array(["any text"])))

    def measure(self, batch: pa.Table, state: None) -> pa.Table:
        """Counts of each document and the spans of its nodes; nulls where `nodes` is null."""
        nodes = batch["nodes"].combine_chunks()
        lengths = pc.list_value_length(nodes)
        missing = lengths.is_null()
        ends = np.cumsum(pc.fill_null(lengths, 0).to_numpy())
        found = self._found(pc.struct_field(pc.list_flatten(nodes), "text"))
        counts = np.zeros((len(PII_KINDS), len(nodes)), np.int32)
        for node, spans in found.items():
            document = np.searchsorted(ends, node, side="right")
            for span in spans:
                counts[PII_KINDS.index(span.kind), document] += 1
        by_kind = [pa.array(row, mask=missing.to_numpy(zero_copy_only=False)) for row in counts]
        return measured(self.writes, [*by_kind, _span_lists(found, ends, missing)])

    def _found(self, texts: pa.Array) -> dict[int, list[Span]]:
        """The spans of the texts that have any, by position."""
        flags = _suspicions(*utf8(texts))
        suspects = np.flatnonzero(flags)
        written = texts.take(pa.array(suspects)).to_pylist()
        pairs = zip(suspects.tolist(), written, strict=True)
        found = {
            n: find_pii(text, int(flags[n]), private_ips=self.private_ips) for n, text in pairs
        }
        return {node: spans for node, spans in found.items() if spans}


def find_pii(text: str, flags: int = 7, *, private_ips: bool = False) -> list[Span]:
    """Personal data in `text`, in order and without overlaps.

    `flags` say which kinds the text may hold, as `_suspicions` found; 7: any.
    """
    plain = text if text.isascii() else text.translate(_ASCII)
    covered = bytearray(len(plain))
    spans: list[Span] = []
    for kind, extents in _extents(plain, flags, private_ips=private_ips):
        for start, end in extents:
            if covered.find(1, start, end) < 0:
                covered[start:end] = b"\1" * (end - start)
                spans.append(Span(kind, start, end))
    return sorted(spans, key=lambda span: span.start)


def _extents(text: str, flags: int, *, private_ips: bool) -> Iterator[tuple[str, Iterator[Extent]]]:
    """What the finders find, surest kind first."""
    if flags & _AT:
        yield "email", emails(text)
    if flags & _NUMBER:
        yield "id", identity_numbers(text)
    if flags & _ADDRESS:
        yield "ip", ip_addresses(text, private=private_ips)
    if flags & _NUMBER:
        yield "phone", phones(text)


def _span_lists(found: dict[int, list[Span]], ends: Ends, missing: pa.Array) -> pa.Array:
    """The column `node_pii`; built from offsets, because nearly all of its lists are empty.

    `found` holds the spans by node, `ends` where the nodes of each document end.
    """
    sizes = np.zeros(ends[-1] if len(ends) else 0, np.int64)
    for node, spans in found.items():
        sizes[node] = len(spans)
    values = list(zip(*itertools.chain.from_iterable(found.values()), strict=True)) or [(), (), ()]
    fields = list(columns.PII_SPAN)
    arrays = [pa.array(own, field.type) for own, field in zip(values, fields, strict=True)]
    spans = pa.StructArray.from_arrays(arrays, fields=fields)
    nodes = pa.ListArray.from_arrays(_offsets(np.cumsum(sizes)), spans)
    lists = pa.ListArray.from_arrays(_offsets(ends), nodes, mask=missing)
    return lists.cast(columns.column("node_pii").field.type)


def _offsets(ends: Ends) -> pa.Array:
    return pa.array(np.concatenate([[0], ends]), pa.int32())


@compiled
def _suspicions(data: Bytes, bounds: Offsets) -> Flags:
    """For each of N texts, which kinds of personal data it may hold: a sum of flags; (N,).

    1: an @. 2: three dots, each after a digit of one run of digits and dots, or two colons in a run
    of colons and hexadecimal digits. 4: seven digits with at most five bytes between each two.
    """
    flags = np.zeros(len(bounds) - 1, np.uint8)
    for text in range(len(bounds) - 1):
        flag, digits, dots, colons = 0, 0, 0, 0
        last = -10  # where the last digit ended
        for at in range(bounds[text], bounds[text + 1]):
            byte = data[at]
            if 0x47 <= byte < 0x80:  # most bytes: letters from g on, and no hexadecimal digits
                dots, colons = 0, 0
                continue
            before = data[at - 1] if at > bounds[text] else np.uint8(0)
            wide = before == 0xBC and at > bounds[text] + 1 and data[at - 2] == 0xEF  # full-width
            if (
                0x30 <= byte <= 0x39
                or (wide and 0x90 <= byte <= 0x99)
                or (before == 0xD9 and 0xA0 <= byte <= 0xA9)  # Arabic
                or (before == 0xDB and 0xB0 <= byte <= 0xB9)  # Persian
            ):
                digits = digits + 1 if at - last <= 6 else 1
                last = at
                if digits >= 7:
                    flag |= 4
            elif byte == 0x2E:
                dots = dots + 1 if at - last == 1 else 0
                colons = 0
                if dots >= 3:
                    flag |= 2
            elif byte == 0x3A:
                dots = 0
                colons += 1
                if colons >= 2:
                    flag |= 2
            else:
                dots = 0
                if not (0x41 <= byte <= 0x46 or 0x61 <= byte <= 0x66):
                    colons = 0
                if byte == 0x40 or (wide and byte == 0xA0):
                    flag |= 1
        flags[text] = flag
    return flags
