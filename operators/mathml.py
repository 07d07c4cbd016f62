"""Presentation MathML to LaTeX, without recursion: the depth of a formula is its author's choice.

The output uses commands that LaTeX with amsmath and amssymb, KaTeX and MathJax share, with very few
exceptions. What has no command stays the Unicode character. Spacing, colours, sizes, column lines
and equation numbers are not carried over.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import accumulate, zip_longest
from string import ascii_letters

from selectolax.lexbor import LexborNode

from operators.latex_symbols import (
    CLOSING,
    DELIMITERS,
    ENCLOSURES,
    FUNCTIONS,
    INTEGRALS,
    INVISIBLE,
    LIMITS,
    LONG_ARROWS,
    MATRICES,
    OPENING,
    OVER,
    SPACES,
    SPELLED,
    STYLES,
    SYMBOLS,
    TEXT_ESCAPES,
    TEXT_STYLES,
    UNDER,
)

_MAX_ELEMENTS = 10_000
_MAX_DEPTH = 200
_MAX_CHARS = 50_000
_LONGEST_FENCE = 8
_LONGEST_WIDTH = 32

_WITH_STROKE = re.compile("(.)(\u0338?)", re.DOTALL)
_STYLED_NAME = re.compile(
    r"(?:MATHEMATICAL )?((?:(?:BOLD|ITALIC|SCRIPT|FRAKTUR|BLACK-LETTER|DOUBLE-STRUCK|SANS-SERIF"
    r"|MONOSPACE) )+)(?:CAPITAL|SMALL|DIGIT|NABLA|PARTIAL|EPSILON|THETA|KAPPA|PHI|RHO|PI)"
)
_SAME_STYLE = re.compile(r"(\\math[a-z]+\{)[A-Za-z0-9]+(?:\}\1[A-Za-z0-9]+)+")
_THOUSANDS = re.compile(r",(?=\d{3}(?!\d))")
_NAMED_WIDTHS = {
    "thinmathspace": "0.17em",
    "mediummathspace": "0.22em",
    "thickmathspace": "0.28em",
    "verythickmathspace": "0.33em",
    "veryverythickmathspace": "0.39em",
}
_WIDTH = re.compile(r"\s*(-?\d*\.?\d+)\s*(em|ex|px|pt)\s*")
_EMS = {"em": 1.0, "ex": 0.43, "px": 1 / 16, "pt": 1 / 12}

_IGNORED = frozenset(("annotation", "annotation-xml", "script", "style"))
# With a namespace prefix these have no end tag for an HTML parser: it puts what follows inside.
_EMPTY = frozenset(("mspace", "none", "mprescripts"))
_TOKENS = frozenset(("mi", "mn", "mo", "mtext"))
# An index may follow these without braces around them.
_ATOMS = frozenset(("mi", "mn", "mo", "mtext", "msqrt", "mroot", "accent", "brace", "fenced"))


@dataclass(slots=True)
class _Piece:
    """LaTeX of one element. `text` is a token's own text, or the body of a table or binomial."""

    latex: str
    tag: str = "mrow"
    text: str = ""
    tall: bool = False  # higher than a line: delimiters around it must grow
    stretchy: bool = True


@dataclass(slots=True)
class _Element:
    """An element whose children are being read."""

    node: LexborNode
    tag: str
    children: Iterator[LexborNode]
    pieces: list[_Piece]


def latex_of(math: LexborNode) -> str | None:
    """The LaTeX of a MathML element; None past a limit on elements, depth or characters.

    Also None for formulas in formulas. No page means them, and who then asks for each of the inner
    ones would read these again and again.
    """
    stack = [_Element(math, "math", math.iter(), [])]
    elements = chars = 0
    while True:
        inner = stack[-1]
        child = next(inner.children, None)
        if child is None:
            stack.pop()
            if inner.tag in _EMPTY:
                continue
            piece = _BUILDERS.get(inner.tag, _group)(inner)
            if not stack:
                return trimmed(piece.latex) if len(piece.latex) <= _MAX_CHARS else None
            stack[-1].pieces.append(piece)
            continue
        tag = _name(child)
        elements += 1
        passed = elements > _MAX_ELEMENTS or chars > _MAX_CHARS or len(stack) > _MAX_DEPTH
        if passed or tag == "math":
            return None
        if tag in _EMPTY or (tag in _LEAVES and not _wraps(child)):
            inner.pieces.append(_LEAVES[tag](child))
            chars += len(inner.pieces[-1].latex)
            if tag in _EMPTY:
                stack.append(_Element(child, tag, child.iter(), inner.pieces))
        elif tag not in _IGNORED and not tag.startswith("-"):
            stack.append(_Element(child, tag, child.iter(), []))


def _wraps(token: LexborNode) -> bool:
    """Whether a token holds MathML in place of text: KaTeX makes such operators."""
    first = token.first_child
    name = "-" if first is None else _name(first)
    return name in _BUILDERS or name in _TOKENS or name == "mrow"


def _name(node: LexborNode) -> str:
    """The element's name without a namespace prefix; what is no element starts with a hyphen."""
    return (node.tag or "-").rpartition(":")[2]


def trimmed(latex: str) -> str:
    """Without white space around it, nor the backslash of a space at the end."""
    latex = latex.strip()
    while (len(latex) - len(latex.rstrip("\\"))) % 2:
        latex = latex[:-1].rstrip()
    return latex


def _joined(parts: Iterable[str]) -> str:
    """The parts in a row, with a space where a command's name would run into a letter."""
    out: list[str] = []
    after_command = False
    for part in filter(None, parts):
        if after_command and part[0].isalpha():
            out.append(" ")
        out.append(part)
        stem = part.rstrip(ascii_letters)
        after_command = len(stem) < len(part) and stem.endswith("\\")
    return "".join(out)


# --- Tokens -------------------------------------------------------------------------------------


@lru_cache(maxsize=4096)
def _character(char: str) -> str:
    if char in SYMBOLS:
        return SYMBOLS[char]
    if unicodedata.category(char) == "Cc":
        return ""
    styled = _STYLED_NAME.match(unicodedata.name(char, ""))
    if styled is None:
        return char
    plain = unicodedata.normalize("NFKC", char)
    style = "-".join(styled.group(1).lower().split())
    return _in_style(_characters(plain), "" if style == "italic" else style)


def _characters(text: str) -> str:
    found = _WITH_STROKE.finditer(text)
    return _joined(
        part for one in found for part in ("\\not" if one[2] else "", _character(one[1]))
    )


def _in_style(latex: str, variant: str | None) -> str:
    """LaTeX of letters in a `mathvariant`. Only bold goes on anything but Latin letters."""
    command = STYLES.get(variant or "")
    if command is None or not latex:
        return latex
    if latex.isascii() and latex.isalnum():
        return f"\\{command}{{{latex}}}"
    return f"\\boldsymbol{{{latex}}}" if command in ("mathbf", "boldsymbol") else latex


def _raw(node: LexborNode) -> str:
    """The text of a token, or enough of it to pass the limit."""
    return node.text()[: _MAX_CHARS + 1]


def _text(node: LexborNode) -> str:
    text = " ".join(_raw(node).split())
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def _is_word(text: str) -> bool:
    return len(text) > 1 and text.isascii() and text.isalpha()


def _identifier(node: LexborNode) -> _Piece:
    text = _text(node)
    variant = node.attributes.get("mathvariant")
    letters = sum(char.isalpha() and _character(char) == char for char in text)
    if text in FUNCTIONS:
        latex = FUNCTIONS[text]
    elif _is_word(text) and variant not in STYLES:
        latex = f"\\operatorname{{{text}}}"
    elif letters > 1 and not (text.isascii() and text.isalnum()):
        latex = _quoted(text, variant)
    elif len(text) == 1 and variant == "italic":
        latex = _character(text)
    else:
        latex = _in_style(_characters(text), variant or ("normal" if letters > 1 else None))
    return _Piece(latex, "mi", text)


def _number(node: LexborNode) -> _Piece:
    text = _text(node)
    latex = _THOUSANDS.sub("{,}", _characters(text)).replace(" ", "\\,")
    return _Piece(_in_style(latex, node.attributes.get("mathvariant")), "mn", text)


def _operator(node: LexborNode) -> _Piece:
    text = _text(node)
    if text in FUNCTIONS or text in SPELLED:
        latex = FUNCTIONS.get(text) or SPELLED[text]
    elif _is_word(text):
        latex = f"\\operatorname{{{text}}}"
    else:
        latex = _characters(text)
    stretchy = text in DELIMITERS and node.attributes.get("stretchy") != "false"
    return _Piece(latex, "mo", text, stretchy=stretchy)


def _quoted(text: str, variant: str | None) -> str:
    escaped = "".join(TEXT_ESCAPES.get(char, char) for char in text if char.isprintable())
    return f"\\{TEXT_STYLES.get(variant or '', 'text')}{{{escaped}}}" if escaped else ""


def _words(node: LexborNode) -> _Piece:
    """Text in a formula. MathML trims white space but for the no-break space, as do we."""
    text = _raw(node).strip(" \t\r\n\f")
    if all(char.isspace() or char in INVISIBLE for char in text):
        blanks = (SPACES.get(char, "\\ ") for char in text if char.isspace())
        return _Piece(_joined(blanks), "mspace")
    if all(char in SYMBOLS or char.isdigit() for char in text):
        return _Piece(_characters(text), "mtext", text)
    collapsed = re.sub(r"\s+", " ", text)
    return _Piece(_quoted(collapsed, node.attributes.get("mathvariant")), "mtext", text)


def _string(node: LexborNode) -> _Piece:
    text = _text(node)
    return _Piece(_quoted(f'"{text}"', None), "mtext", text)


def _space(node: LexborNode) -> _Piece:
    width = (node.attributes.get("width") or "")[:_LONGEST_WIDTH]
    found = _WIDTH.fullmatch(_NAMED_WIDTHS.get(width, width))
    ems = float(found.group(1)) * _EMS[found.group(2)] if found else 0.0
    return _Piece(_blank(ems), "mspace")


def _blank(ems: float) -> str:
    """The space command nearest to a width."""
    if ems < 0.1:
        return "\\!" if -0.3 < ems < -0.1 else ""
    steps = ((0.2, "\\,"), (0.25, "\\:"), (0.6, "\\;"), (1.5, "\\quad"))
    return next((command for limit, command in steps if ems < limit), "\\qquad")


def _mark(node: LexborNode) -> _Piece:
    return _Piece("", _name(node))


# --- Rows and fences ----------------------------------------------------------------------------


def _group(element: _Element) -> _Piece:
    return _row(element.pieces)


def _row(pieces: list[_Piece]) -> _Piece:
    """Pieces side by side, with growing delimiters around what is higher than a line."""
    pieces = [piece for piece in pieces if piece.latex or piece.text not in INVISIBLE]
    if len(pieces) == 1:
        return pieces[0]
    pairs = _pairs(pieces)
    closers = [*pieces, _Piece("")]
    latex = [_plain(pieces, index) for index in range(len(pieces))] + [""]
    tall_before = list(accumulate((piece.tall for piece in pieces), initial=0))
    for start, end in pairs.items():
        opener, closer = pieces[start], closers[end]
        block = _environment(opener, pieces[start + 1], closer) if end == start + 2 else None
        if block is not None:
            latex[start : end + 1] = [block, "", ""]
        elif tall_before[end] > tall_before[start] and opener.stretchy and closer.stretchy:
            latex[start] = "\\left" + DELIMITERS[opener.text]
            latex[end] = "\\right" + DELIMITERS[closer.text]
    whole = pairs.get(0, 0) >= len(pieces) - 1 > 0
    # An end that neither shows nor is marked by a command leaves its last piece open to indices.
    closed = whole and (pieces[-1].latex != "" or latex[0] != pieces[0].latex)
    tag = "fenced" if closed else "mrow"
    return _Piece(_merged(_joined(latex)), tag, tall=tall_before[-1] > 0)


def _merged(latex: str) -> str:
    """Neighbouring letters in one style as one word of it."""
    return _SAME_STYLE.sub(lambda run: run[0].replace("}" + run[1], ""), latex)


def _pairs(pieces: list[_Piece]) -> dict[int, int]:
    """Where each opening delimiter's partner stands; past the end for a brace before cases."""
    pairs: dict[int, int] = {}
    unclosed: list[int] = []
    for index, piece in enumerate(pieces):
        if piece.tag == "mo" and piece.text in OPENING:
            unclosed.append(index)
        elif piece.tag == "mo" and piece.text in CLOSING and unclosed:
            pairs[unclosed.pop()] = index
    last = len(pieces) - 1
    if _encloses(pieces) and 0 not in pairs and last not in pairs.values():
        pairs[0] = last
    elif unclosed and unclosed[-1] == last - 1 and pieces[last].tag in ("mtable", "aligned"):
        pairs[last - 1] = last + 1
    return pairs


def _encloses(pieces: list[_Piece]) -> bool:
    """Whether the first and the last piece can be two sides of one pair, as in |x| or ]0, 1[."""
    if len(pieces) < 3:
        return False
    sides = pieces[0], pieces[-1]
    if any(side.tag != "mo" or side.text not in DELIMITERS for side in sides):
        return False
    texts = {side.text for side in sides}
    return texts != {""} and all(
        piece.tag != "mo" or piece.text not in texts for piece in pieces[1:-1]
    )


def _plain(pieces: list[_Piece], index: int) -> str:
    """A piece as it is; a prime gets a base of its own where another superscript may precede."""
    latex = pieces[index].latex
    if not latex.startswith("'") or (index and pieces[index - 1].tag in ("mi", "mn", "mo")):
        return latex
    return "{}" + latex


def _environment(opener: _Piece, inner: _Piece, closer: _Piece) -> str | None:
    """The matrix, cases or binomial that a lone table or fraction is within its delimiters."""
    fences = opener.text + closer.text
    if inner.tag == "choose" and fences == "()":
        return "\\binom" + inner.text
    if inner.tag == "mtable" and fences in MATRICES:
        name = MATRICES[fences]
        return f"\\begin{{{name}}}{inner.text}\\end{{{name}}}"
    return None


def _fenced(element: _Element) -> _Piece:
    """Delimiters and separators as attributes. An empty attribute reads as None."""
    attributes = element.node.attributes
    opener = attributes.get("open") or "" if "open" in attributes else "("
    closer = attributes.get("close") or "" if "close" in attributes else ")"
    separators = attributes.get("separators") or "" if "separators" in attributes else ","
    row = [_fence(opener)]
    for index, piece in enumerate(element.pieces):
        if index and separators:
            row.append(_fence(separators[min(index, len(separators)) - 1]))
        row.append(piece)
    return _row([*row, _fence(closer)])


def _fence(text: str) -> _Piece:
    text = text.strip()[:_LONGEST_FENCE]
    return _Piece(_characters(text), "mo", text)


# --- Layout -------------------------------------------------------------------------------------


def _first(element: _Element) -> _Piece:
    """The one child that counts: others are the same formula again, or another state of it."""
    return element.pieces[0] if element.pieces else _Piece("")


def _style(element: _Element) -> _Piece:
    row = _row(element.pieces)
    variant = element.node.attributes.get("mathvariant")
    return replace(row, latex=_in_style(row.latex, variant)) if variant else row


def _phantom(element: _Element) -> _Piece:
    row = _row(element.pieces)
    return _Piece(f"\\phantom{{{row.latex}}}", "accent", tall=row.tall) if row.latex else row


def _enclosed(element: _Element) -> _Piece:
    row = _row(element.pieces)
    notation = (element.node.attributes.get("notation") or "").split()
    if {"updiagonalstrike", "downdiagonalstrike"} <= set(notation):
        command = "xcancel"
    else:
        command = next((ENCLOSURES[name] for name in notation if name in ENCLOSURES), "")
    return _Piece(f"\\{command}{{{row.latex}}}", "accent", tall=row.tall) if command else row


def _fraction(element: _Element) -> _Piece:
    if len(element.pieces) != 2:
        return _row(element.pieces)
    body = "".join(f"{{{piece.latex}}}" for piece in element.pieces)
    if (element.node.attributes.get("linethickness") or "").strip().rstrip("emxpt") == "0":
        return _Piece("\\genfrac{}{}{0pt}{}" + body, "choose", body, tall=True)
    return _Piece("\\frac" + body, "mfrac", tall=True)


def _square_root(element: _Element) -> _Piece:
    row = _row(element.pieces)
    return _Piece(f"\\sqrt{{{row.latex}}}", "msqrt", tall=row.tall)


def _root(element: _Element) -> _Piece:
    if len(element.pieces) != 2:
        return _row(element.pieces)
    base, index = element.pieces
    return _Piece(f"\\sqrt[{_bracketed(index)}]{{{base.latex}}}", "mroot", tall=base.tall)


def _bracketed(piece: _Piece) -> str:
    """LaTeX for between square brackets: in braces where it could end them, or lose its own."""
    exposed = "]" in piece.latex or piece.latex.startswith("{")
    return f"{{{piece.latex}}}" if exposed else piece.latex


# --- Scripts ------------------------------------------------------------------------------------


def _base(piece: _Piece) -> str:
    atom = piece.latex and piece.tag in _ATOMS and not piece.latex.startswith("'")
    return piece.latex if atom else f"{{{piece.latex}}}"


def _scripted(base: str, below: _Piece, above: _Piece) -> str:
    """A base with indices, where there are any; primes are written as such."""
    latex = f"{base}_{{{below.latex}}}" if below.latex else base
    primes = above.latex.replace("{}", "")
    if primes and not primes.strip("'"):
        return latex + primes
    return f"{latex}^{{{above.latex}}}" if above.latex else latex


def _slots(element: _Element) -> tuple[_Piece, _Piece, _Piece] | None:
    """Base, lower and upper script of an element; None when its children are not as many."""
    tag, pieces = element.tag, element.pieces
    missing = _Piece("")
    if tag in ("msubsup", "munderover"):
        return (pieces[0], pieces[1], pieces[2]) if len(pieces) == 3 else None
    if len(pieces) != 2:
        return None
    base, script = pieces
    return (base, script, missing) if tag in ("msub", "munder") else (base, missing, script)


def _indexed(element: _Element) -> _Piece:
    slots = _slots(element)
    if slots is None:
        return _row(element.pieces)
    base, below, above = slots
    tall = any(piece.tall for piece in slots)
    return _Piece(_scripted(_base(base), below, above), "script", tall=tall)


def _multiscripts(element: _Element) -> _Piece:
    tags = [piece.tag for piece in element.pieces]
    cut = tags.index("mprescripts") if "mprescripts" in tags else len(tags)
    bases = [_base(piece) for piece in element.pieces[:1]]
    after = _script_pairs(bases, element.pieces[1:cut])
    before = _script_pairs([], element.pieces[cut + 1 :])
    tall = any(piece.tall for piece in element.pieces)
    return _Piece("".join(before + after), "script", tall=tall)


def _script_pairs(bases: list[str], scripts: list[_Piece]) -> list[str]:
    """Pairs of lower and upper script on the bases; on empty ones when these run out."""
    pairs = zip_longest(scripts[::2], scripts[1::2], fillvalue=_Piece(""))
    return [
        _scripted(base or "{}", *(pair or (_Piece(""), _Piece(""))))
        for base, pair in zip_longest(bases, pairs)
    ]


def _stacked(element: _Element) -> _Piece:
    """What stands over and under a base: an arrow's label, limits, accents, or just that."""
    slots = _slots(element)
    if slots is None:
        return _row(element.pieces)
    base, below, above = slots
    if base.tag == "mo" and base.text in LONG_ARROWS:
        option = f"[{_bracketed(below)}]" if below.latex else ""
        latex = f"\\{LONG_ARROWS[base.text]}{option}{{{above.latex}}}"
        return _Piece(latex, "accent", tall=True)
    taker = _limits_taker(base)
    if taker is not None and above.text not in OVER and below.text not in UNDER:
        return _Piece(_scripted(taker, below, above), "script", tall=True)
    base = _marked(base, above, OVER, "overset")
    return _marked(base, below, UNDER, "underset")


def _limits_taker(base: _Piece) -> str | None:
    """A base whose scripts LaTeX sets over and under it, if this is one."""
    if base.latex in LIMITS or base.tag == "brace":
        return base.latex
    if base.latex in INTEGRALS:
        return base.latex + "\\limits"
    if base.tag in ("mi", "mo") and base.latex.startswith("\\operatorname{"):
        return base.latex.replace("{", "*{", 1)
    return None


def _marked(
    base: _Piece, mark: _Piece, accents: dict[str, tuple[str, str]], otherwise: str
) -> _Piece:
    if not mark.latex:
        return base
    if mark.text not in accents:
        return _Piece(f"\\{otherwise}{{{mark.latex}}}{{{base.latex}}}", "accent", tall=True)
    narrow, wide = accents[mark.text]
    command = narrow if len(base.text) == 1 else wide
    tag = "brace" if command.endswith("brace") else "accent"
    return _Piece(f"\\{command}{{{base.latex}}}", tag, tall=base.tall)


# --- Tables -------------------------------------------------------------------------------------


def _cells(element: _Element) -> _Piece:
    labels = 1 if element.tag == "mlabeledtr" else 0
    cells = " & ".join(piece.latex for piece in element.pieces[labels:])
    return _Piece(cells, "mtr", tall=True)


def _cell(element: _Element) -> _Piece:
    return _Piece(_row(element.pieces).latex, "mtd")


def _table(element: _Element) -> _Piece:
    if len(element.pieces) == 1 and "&" not in element.pieces[0].latex:
        return replace(element.pieces[0], tag="mrow")
    rows = [piece.latex for piece in element.pieces]
    # After a line break LaTeX takes these for an argument of the break.
    rows[1:] = ["{}" + row if row.startswith(("[", "*")) else row for row in rows[1:]]
    body = " \\\\ ".join(rows)
    aligned = (element.node.attributes.get("columnalign") or "").startswith("right left")
    name, tag = ("aligned", "aligned") if aligned else ("matrix", "mtable")
    return _Piece(f"\\begin{{{name}}}{body}\\end{{{name}}}", tag, body, tall=True)


_LEAVES: dict[str, Callable[[LexborNode], _Piece]] = {
    "mi": _identifier,
    "mn": _number,
    "mo": _operator,
    "ms": _string,
    "mtext": _words,
    "mspace": _space,
    "none": _mark,
    "mprescripts": _mark,
}
_BUILDERS: dict[str, Callable[[_Element], _Piece]] = {
    "maction": _first,
    "menclose": _enclosed,
    "mfenced": _fenced,
    "mfrac": _fraction,
    "mlabeledtr": _cells,
    "mmultiscripts": _multiscripts,
    "mover": _stacked,
    "mphantom": _phantom,
    "mroot": _root,
    "msqrt": _square_root,
    "mstyle": _style,
    "msub": _indexed,
    "msubsup": _indexed,
    "msup": _indexed,
    "mtable": _table,
    "mtd": _cell,
    "mtr": _cells,
    "munder": _stacked,
    "munderover": _stacked,
    "semantics": _first,
}
