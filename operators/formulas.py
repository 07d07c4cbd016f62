r"""Formulas of a web page as LaTeX, out of what each way of putting mathematics on the web leaves.

The author's own LaTeX is taken where the page still has it: KaTeX and Wikipedia annotate their
MathML with it, MathJax 2 keeps it in a script, MathJax 4 in attributes, picture services in the
address. Else MathML is converted. Whoever walks a page asks at each candidate and either takes the
answer for the whole subtree, or on None walks on as if there were no formula. An answer with empty
`latex` takes the subtree too: it only shows a formula that the page holds once more right after it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from urllib.parse import unquote, unquote_plus

from selectolax.lexbor import LexborHTMLParser, LexborNode

from operators.mathml import latex_of, trimmed

_MAX_CHARS = 20_000
_MAX_MARKUP = 500_000
_MAX_ADDRESS = 8_000

_MATH_TAGS = frozenset(("math", "m:math", "mml:math"))
_DISPLAYS = frozenset(
    (
        "MJXc-display",
        "MathJax_Display",
        "MathJax_PHTML_Display",
        "MathJax_SVG_Display",
        "katex-display",
        "mwe-math-element-block",
    )
)
# MathJax 2 by output format; what it renders may have its source in a script behind it.
_RENDERINGS = frozenset(
    ("MathJax", "MathJax_CHTML", "MathJax_MathML", "MathJax_PHTML", "MathJax_SVG", "mjx-chtml")
)
# Elements whose text is LaTeX between delimiters until a script on the page has typeset it.
_DELIMITED = frozenset(
    (
        "arithmatex",
        "math",
        "math-container",
        "mathjax",
        "mathjax-tex",
        "mwe-math-fallback-source-display",
        "mwe-math-fallback-source-inline",
        "tex2jax_process",
    )
)
# Elements whose text is LaTeX and nothing else.
_BARE = frozenset(("js-render-math", "language-math"))
# Elements with LaTeX in an attribute.
_SOURCES = {"ztext-math": "data-tex", "ql-formula": "data-value", "amp-mathml": "data-formula"}

# The candidates: elements of these names, or with one of these classes.
FORMULA_TAGS = _MATH_TAGS | {"amp-mathml", "math-renderer", "mjx-container"}
FORMULA_CLASSES = (
    _RENDERINGS
    | _DELIMITED
    | _BARE
    | {"MathJax_Preview", "katex", "mwe-math-element", "ql-formula", "ztext-math"}
)

_TEX_ENCODING = re.compile(r"(?:.*[-/])?(?:la)?tex", re.IGNORECASE)
_CDATA = re.compile(r"%? ?(?:<!\[CDATA\[|\]\]>)")
_COMMENT = re.compile(r"(?<!\\)%.*")
_SIGNS = re.compile(r"\\.|[{}$]")
_STYLE_GROUP = re.compile(r"\{\\(?:display|text|script)style(?![A-Za-z])")
_DISPLAY_ENVIRONMENT = re.compile(
    r"\\begin\{(?:align|alignat|displaymath|eqnarray|equation|flalign|gather|multline)\*?\}"
)
_DELIMITERS = (("\\[", "\\]", True), ("\\(", "\\)", False), ("$$", "$$", True), ("$", "$", False))

_IMAGE_CLASSES = frozenset(
    ("equation", "formula", "latex", "latexcenter", "math", "tex", "tex-formula")
)
_WIKI_IMAGE = "mwe-math-fallback-"
_IMAGE_SOURCES = ("src", "data-src", "data-lazy-src", "data-original")
# Pages that draw a formula: their whole query is LaTeX, or one named parameter of it.
_WHOLE_QUERY = re.compile(
    r"(?:gif|pdf|png|svg|emf|swf)\.(?:download|image|latex)|(?:mathtex|mimetex)(?:\.\w+)?"
    r"|(?:la)?tex\.(?:cgi|exe|fcgi)"
)
_RENDERER = re.compile(
    r"(?:chart|equation|eqn?|formula|(?:la)?tex|math|mathtex|mimetex|render|tex2(?:gif|png|svg))"
    r"(?:\.\w+)?"
)
_PARAMETERS = ("latex", "tex", "math", "formula", "equation", "eq", "chl")
_SERVICE_PREFIX = re.compile(
    r"(?:\s*\\(?:(?:inline|tiny|small|large|LARGE|huge|(?:bg|fn)_\w+)(?![A-Za-z])"
    r"|dpi\{\d+\}|bg\{\w+\}))+"
)


@dataclass(frozen=True)
class Formula:
    """LaTeX without delimiters; `display` when set apart on its own line, not inline."""

    latex: str
    display: bool


_SHOWN_AGAIN = Formula("", False)


def read_formula(node: LexborNode) -> Formula | None:
    """The formula that an element is; None when it is not one, or not one that can be read."""
    tag = node.tag or ""
    if tag in _MATH_TAGS:
        return _math(node)
    attributes = node.attributes
    classes = set((attributes.get("class") or "").split())
    if tag == "mjx-container" or classes & _RENDERINGS:
        return _rendering(node, attributes)
    if "MathJax_Preview" in classes and _shown_next(node):
        return _SHOWN_AGAIN
    for name, source in _SOURCES.items():
        if name in classes or name == tag:
            return _tex(attributes.get(source))
    if classes & _BARE:
        return _tex(_only_text(node), attributes.get("data-math-style") == "display")
    if "katex" in classes or "mwe-math-element" in classes:
        return _displayed(_inside(node), node, attributes)
    return _delimited(_only_text(node))


def formula_script(node: LexborNode) -> Formula | None:
    """The formula in a script element of MathJax 2; its other scripts and notations are None."""
    kind, _, parameters = (node.attributes.get("type") or "").lower().partition(";")
    if kind.strip() == "math/tex":
        return _tex(node.text(), "display" in parameters)
    return _markup(node.text()) if kind.strip() == "math/mml" else None


def formula_image(attributes: dict[str, str | None]) -> Formula | None:
    """The formula that an image shows, from its address or its alternative text."""
    classes = (attributes.get("class") or "").split()
    of_wiki = any(name.startswith(_WIKI_IMAGE) for name in classes)
    display = any(name in ("latexcenter", _WIKI_IMAGE + "image-display") for name in classes)
    for key in _IMAGE_SOURCES:
        formula = _tex(_from_address(attributes.get(key) or ""), display)
        if formula is not None:
            return formula
    alt = (attributes.get("alt") or "").strip()
    if of_wiki or (_IMAGE_CLASSES.intersection(classes) and _looks_like_tex(alt)):
        return _tex(alt, display)
    return None


# --- MathML and what renders it -----------------------------------------------------------------


def _math(node: LexborNode) -> Formula | None:
    attributes = node.attributes
    alternative = attributes.get("alttext") or ""
    formula = (
        _tex(attributes.get("data-latex"))
        or _tex(_annotation(node))
        or (_tex(alternative) if re.search(r"[\\^_]", alternative) else None)
        or _tex(_only_text(node))
    )
    if formula is None:
        latex = latex_of(node)
        formula = Formula(latex, False) if latex else None
    if attributes.get("display") == "block" or attributes.get("mode") == "display":
        return replace(formula, display=True) if formula else None
    return formula


def _annotation(math: LexborNode) -> str | None:
    """The LaTeX that a MathML element carries as an annotation."""
    for semantics in islice(math.iter(), 2):
        if (semantics.tag or "").endswith("semantics"):
            for child in islice(semantics.iter(), 8):
                encoding = child.attributes.get("encoding") or ""
                if _TEX_ENCODING.fullmatch(encoding[:64]):
                    return child.text()
    return None


def _rendering(node: LexborNode, attributes: dict[str, str | None]) -> Formula | None:
    """What MathJax drew: nothing of its own when the source stands behind it."""
    parent = node.parent
    holders = [node] if parent is None or not _is_display(parent) else [node, parent]
    if any(_source_next(holder) for holder in holders):
        return _SHOWN_AGAIN
    formula = _markup(attributes.get("data-mathml") or "") or _inside(node)
    return _displayed(formula, node, attributes)


def _displayed(
    formula: Formula | None, node: LexborNode, attributes: dict[str, str | None]
) -> Formula | None:
    """The formula, displayed if it or what holds it says so."""
    if formula is None or formula.display:
        return formula
    parent = node.parent
    display = (
        attributes.get("display") == "true"
        or _is_display(node)
        or (parent is not None and _is_display(parent))
    )
    return replace(formula, display=display)


def _is_display(node: LexborNode) -> bool:
    return not _DISPLAYS.isdisjoint((node.attributes.get("class") or "").split())


def _inside(node: LexborNode) -> Formula | None:
    """The first formula near the top of an element; its picture where there is nothing better."""
    near = list(_near(node))
    images = (formula_image(inner.attributes) for inner in near if inner.tag == "img")
    return next(filter(None, map(_source, near)), None) or next(filter(None, images), None)


def _source(node: LexborNode) -> Formula | None:
    if node.tag in _MATH_TAGS:
        return _math(node)
    return _tex(node.attributes.get("data-latex")) if node.tag in ("mjx-math", "g") else None


def _near(node: LexborNode) -> Iterator[LexborNode]:
    """Elements up to three levels below, by level; few of each, as a rendering can be large."""
    level = [node]
    for _ in range(3):
        level = [child for parent in level[:32] for child in islice(parent.iter(), 8)]
        yield from level


def _markup(markup: str) -> Formula | None:
    """The formula of MathML as text."""
    if not markup or len(markup) > _MAX_MARKUP:
        return None
    body = LexborHTMLParser(markup).body
    children = islice(body.iter(), 8) if body is not None else ()
    return next((_math(child) for child in children if child.tag in _MATH_TAGS), None)


def _next_element(node: LexborNode) -> LexborNode | None:
    """The element right behind, with at most white space or comments in between."""
    sibling = node.next
    for _ in range(4):
        if sibling is None or not (sibling.tag or "-").startswith("-"):
            return sibling
        if sibling.tag == "-text" and sibling.text().strip():
            return None
        sibling = sibling.next
    return None


def _source_next(node: LexborNode) -> bool:
    following = _next_element(node)
    return (
        following is not None
        and following.tag == "script"
        and formula_script(following) is not None
    )


def _shown_next(node: LexborNode) -> bool:
    """Whether MathJax's rendering or source stands behind its preview."""
    following = _next_element(node)
    if following is None:
        return False
    classes = (following.attributes.get("class") or "").split()
    return not (_RENDERINGS | _DISPLAYS).isdisjoint(classes) or _source_next(node)


# --- LaTeX as found -----------------------------------------------------------------------------


def _only_text(node: LexborNode) -> str | None:
    """The text of an element without elements in it."""
    first = node.first_child
    alone = first is not None and first.tag == "-text" and first.next is None
    return node.text() if alone else None


def _tex(text: str | None, display: bool = False) -> Formula | None:
    """LaTeX as a page wrote it, without delimiters, comments and what scripts need around it."""
    if not text or len(text) > _MAX_CHARS:
        return None
    # On the last line a percent sign may stand for itself: nothing is lost by keeping it.
    lines, newline, last = _CDATA.sub("", text).rpartition("\n")
    text = _COMMENT.sub("", lines) + newline + last
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    latex, delimited = _undelimited(trimmed(" ".join(text.split())))
    latex = _ungrouped(latex)
    if not latex or not _is_whole(latex):
        return None
    display = display or bool(delimited) or _DISPLAY_ENVIRONMENT.match(latex) is not None
    return Formula(latex, display)


def _delimited(text: str | None) -> Formula | None:
    """A formula only if delimiters say that the text is one."""
    return _tex(text) if text and _undelimited(text.strip())[1] is not None else None


def _undelimited(text: str) -> tuple[str, bool | None]:
    """Text between the delimiters around it, and whether they display it; None without any."""
    for start, end, display in _DELIMITERS:
        if text.startswith(start) and text.endswith(end) and len(text) > len(start) + len(end):
            return trimmed(text[len(start) : -len(end)]), display
    return text, None


def _ungrouped(latex: str) -> str:
    r"""Without the group that Wikipedia puts around all: {\displaystyle ...}."""
    style = _STYLE_GROUP.match(latex)
    if style is None or not latex.endswith("}"):
        return latex
    inner = latex[style.end() : -1]
    return trimmed(inner) if _is_whole(inner) else latex


def _is_whole(latex: str) -> bool:
    """Whether braces match, and no delimiter outside of them ends the formula early."""
    depth = 0
    for sign in _SIGNS.findall(latex):
        depth += (sign == "{") - (sign == "}")
        if depth < 0 or (depth == 0 and sign in ("$", "\\(", "\\)", "\\[", "\\]")):
            return False
    return depth == 0


def _looks_like_tex(text: str) -> bool:
    return len(text) <= 2 or _undelimited(text)[1] is not None or bool(re.search(r"[\\^_=]", text))


def _from_address(address: str) -> str | None:
    """The LaTeX in the address of a picture that a formula service draws."""
    if "?" not in address or len(address) > _MAX_ADDRESS:
        return None
    path, _, query = address.partition("?")
    page = path.rpartition("/")[2].lower()
    if _WHOLE_QUERY.fullmatch(page):
        query = query.replace("&amp;", "&").replace("&space;", " ").replace("&plus;", "+")
        latex = unquote(query)
        prefix = _SERVICE_PREFIX.match(latex)
        return latex[prefix.end() :] if prefix else latex
    if not _RENDERER.fullmatch(page):
        return None
    pairs = [pair.partition("=") for pair in query.replace("&amp;", "&").split("&")]
    values = {name.lower(): unquote_plus(value) for name, _, value in pairs}
    if page.startswith("chart") and not values.get("cht", "").startswith("tx"):
        return None
    return next((values[name] for name in _PARAMETERS if name in values), None)
