"""Formulas out of the markup that typesetting systems leave, and MathML as LaTeX."""

from __future__ import annotations

import re
from html import escape

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from selectolax.lexbor import LexborHTMLParser, LexborNode

from operators.formulas import (
    FORMULA_CLASSES,
    FORMULA_TAGS,
    Formula,
    formula_image,
    formula_script,
    read_formula,
)
from operators.mathml import latex_of


def first(markup: str) -> LexborNode:
    """The first element of a page's body."""
    body = LexborHTMLParser(f"<!DOCTYPE html><body>{markup}").body
    assert body is not None
    return next(body.iter())


def shown(markup: str) -> list[Formula | str]:
    """What a walk that keeps to the contract finds: formulas, and the text outside of them."""
    found: list[Formula | str] = []
    pending = [first(f"<main>{markup}</main>")]
    while pending:
        node = pending.pop()
        tag = node.tag or "-"
        if tag == "-text":
            found += node.text().split()
        if tag.startswith("-"):
            continue
        attributes = node.attributes
        formula = None
        if tag == "script":
            formula = formula_script(node)
        elif tag == "img":
            formula = formula_image(attributes)
        elif tag in FORMULA_TAGS or FORMULA_CLASSES & set((attributes.get("class") or "").split()):
            formula = read_formula(node)
        if formula is not None:
            found += [formula] if formula.latex else []
        elif tag != "script":
            pending += reversed(list(node.iter(include_text=True)))
    return found


def script(kind: str, text: str) -> LexborNode:
    return next(first(f"<p><script type='{kind}'>{text}</script>").iter())


def inline(latex: str) -> Formula:
    return Formula(latex, False)


def displayed(latex: str) -> Formula:
    return Formula(latex, True)


# --- MathML to LaTeX ----------------------------------------------------------------------------

CELLS = "<mtr><mtd><mi>a</mi></mtd><mtd><mi>b</mi></mtd></mtr>"
TABLE = f"<mtable>{CELLS}{CELLS}</mtable>"
BODY = r"a & b \\ a & b"
HALF = "<mfrac><mn>1</mn><mn>2</mn></mfrac>"
X, Y = "<mi>x</mi>", "<mi>y</mi>"


@pytest.mark.parametrize(
    ("markup", "latex"),
    [
        # Tokens
        (X + "<mo>=</mo><mn>3.5</mn>", "x=3.5"),
        ("<mi> x </mi>\n <mo>−</mo> <mn>1</mn>", "x-1"),
        ("<mi>α</mi><mi>x</mi><mo>≤</mo><mi>Ω</mi>", r"\alpha x\leq\Omega"),
        ("<mn>1,250,000</mn>", "1{,}250{,}000"),
        ("<mn>1,2</mn>", "1,2"),
        ("<mn>10 000</mn>", r"10\,000"),
        ("<mi>sin</mi><mo>&#x2061;</mo><mi>θ</mi>", r"\sin\theta"),
        ("<mi>sin</mi><mo>&#x2061;</mo>" + X, r"\sin x"),
        ("<mi>rank</mi><mi>A</mi>", r"\operatorname{rank}A"),
        ("<mi>H2O</mi>", r"\mathrm{H2O}"),
        ("<mi>中文</mi>", r"\text{中文}"),
        ("<mi>true_rate</mi>", r"\text{true\_rate}"),
        ("<mi>Δx</mi>", r"\Delta x"),
        ("<mo>%</mo><mo>#</mo><mo>&amp;</mo><mo>$</mo><mo>_</mo>", r"\%\#\&\$\_"),
        ("<mi>\\</mi><mi>x</mi>", r"\backslash x"),
        ("<mo>{</mo>" + X + "<mo>}</mo>", r"\{x\}"),
        ("<mo>:=</mo><mo>-></mo><mo>&lt;=</mo>", r":=\to\leq"),
        ("<mo>lim</mo><mo>foo</mo>", r"\lim\operatorname{foo}"),
        ("<mo>=&#x338;</mo><mo>⪯&#x338;</mo><mo>&#x338;</mo>", r"\neq\not\preceq"),
        ("<mtext>if&nbsp;</mtext>" + X, r"\text{if }x"),
        ("<mtext> 5 % of {a_b} </mtext>", r"\text{5 \% of \{a\_b\}}"),
        ("<mtext mathvariant='bold'>or</mtext>", r"\textbf{or}"),
        ("<mtext>∠</mtext>" + X, r"\angle x"),
        ("<ms>a</ms>", r'\text{"a"}'),
        (X + "<mtext>&nbsp;</mtext>" + Y, r"x\ y"),
        (X + "<mtext>&nbsp;&nbsp;</mtext>", "x"),
        (X + "<mspace width='1em'/>" + Y, r"x\quad y"),
        (X + "<mspace width='thinmathspace'/>" + Y, r"x\,y"),
        (X + "<mspace width='-0.1667em'/>" + Y, r"x\!y"),
        (X + "<mspace width='wide'/>" + Y, "xy"),
        (X + "<mo>&#x2062;</mo>" + Y, "xy"),
        ("<mi>∞</mi><mo>☃</mo>", r"\infty☃"),
        ("<mo><mover><mo>=</mo><mi>d</mi></mover></mo>", r"\overset{d}{=}"),
        # Letters in other alphabets
        ("<mi mathvariant='double-struck'>R</mi>", r"\mathbb{R}"),
        ("<mi>ℝ</mi><mi>𝔸</mi><mi>ℋ</mi><mi>𝔤</mi>", r"\mathbb{RA}\mathcal{H}\mathfrak{g}"),
        ("<mi>𝑥</mi><mi>𝒙</mi><mi>𝛼</mi>", r"x\boldsymbol{x}\alpha"),
        ("<mi>𝜶</mi><mi>𝐯</mi>", r"\boldsymbol{\alpha}\mathbf{v}"),
        (
            "<mi mathvariant='bold'>v</mi><mi mathvariant='bold'>β</mi>",
            r"\mathbf{v}\boldsymbol{\beta}",
        ),
        ("<mi mathvariant='normal'>d</mi>" + X, r"\mathrm{d}x"),
        ("<mi mathvariant='normal'>Γ</mi><mi mathvariant='normal'>∞</mi>", r"\Gamma\infty"),
        ("<mi mathvariant='normal'>k</mi><mi mathvariant='normal'>g</mi>", r"\mathrm{kg}"),
        ("<mi mathvariant='italic'>x</mi><mi mathvariant='italic'>ab</mi>", r"x\mathit{ab}"),
        (
            "<mi mathvariant='script'>L</mi><mi mathvariant='fraktur'>g</mi>",
            r"\mathcal{L}\mathfrak{g}",
        ),
        ("<mstyle mathvariant='bold'>" + X + "</mstyle>", r"\mathbf{x}"),
        # Fractions and roots
        (HALF, r"\frac{1}{2}"),
        ("<msqrt>" + X + "<mo>+</mo>" + Y + "</msqrt>", r"\sqrt{x+y}"),
        ("<mroot>" + X + "<mn>3</mn></mroot>", r"\sqrt[3]{x}"),
        ("<mroot>" + X + "<mrow><mo>[</mo><mi>n</mi><mo>]</mo></mrow></mroot>", r"\sqrt[{[n]}]{x}"),
        (
            "<mo>(</mo><mfrac linethickness='0'><mi>n</mi><mi>k</mi></mfrac><mo>)</mo>",
            r"\binom{n}{k}",
        ),
        ("<mfrac linethickness='0px'>" + X + Y + "</mfrac>", r"\genfrac{}{}{0pt}{}{x}{y}"),
        # Scripts
        ("<msup>" + X + "<mn>2</mn></msup>", "x^{2}"),
        ("<msub>" + X + "<mi>i</mi></msub>", "x_{i}"),
        ("<msubsup>" + X + "<mi>i</mi><mn>2</mn></msubsup>", "x_{i}^{2}"),
        ("<msup><msup>" + X + "<mi>a</mi></msup><mi>b</mi></msup>", "{x^{a}}^{b}"),
        ("<msup><mrow>" + X + "<mo>+</mo>" + Y + "</mrow><mn>2</mn></msup>", "{x+y}^{2}"),
        ("<msup><mrow/><mn>2</mn></msup>", "{}^{2}"),
        ("<msup><mi>f</mi><mo>′</mo></msup>", "f'"),
        ("<msup><mi>f</mi><mrow><mo>′</mo><mo>′</mo></mrow></msup>", "f''"),
        ("<msubsup><mi>f</mi><mi>i</mi><mo>″</mo></msubsup>", "f_{i}''"),
        ("<mi>f</mi><mo>'</mo>", "f'"),
        ("<msup>" + X + "<mn>2</mn></msup><mo>′</mo>", "x^{2}{}'"),
        ("<msup><mo>′</mo><mn>2</mn></msup>", "{'}^{2}"),
        ("<mn>90</mn><mo>°</mo>", r"90{^{\circ}}"),
        (
            "<mmultiscripts>"
            + X
            + "<mi>a</mi><mi>b</mi><mprescripts/><mi>c</mi><none/></mmultiscripts>",
            "{}_{c}x_{a}^{b}",
        ),
        (
            "<mmultiscripts>" + X + "<mi>a</mi><none/><none/><mi>b</mi></mmultiscripts>",
            "x_{a}{}^{b}",
        ),
        # Over and under
        (
            "<munderover><mo>∑</mo><mrow><mi>i</mi><mo>=</mo><mn>1</mn></mrow><mi>n</mi></munderover>",
            r"\sum_{i=1}^{n}",
        ),
        ("<munderover><mo>∫</mo><mn>0</mn><mn>1</mn></munderover>", r"\int\limits_{0}^{1}"),
        (
            "<munder><mi>lim</mi><mrow>" + X + "<mo>→</mo><mn>0</mn></mrow></munder>",
            r"\lim_{x\to0}",
        ),
        ("<munder><mi>argmin</mi>" + X + "</munder>", r"\operatorname*{argmin}_{x}"),
        ("<mover accent='true'>" + X + "<mo>^</mo></mover>", r"\hat{x}"),
        ("<mover><mrow>" + X + Y + "</mrow><mo>^</mo></mover>", r"\widehat{xy}"),
        (
            "<mover>" + X + "<mo>¯</mo></mover><mover>" + X + "<mo>&#x303;</mo></mover>",
            r"\bar{x}\tilde{x}",
        ),
        ("<mover>" + X + "<mo>→</mo></mover>", r"\vec{x}"),
        ("<mover><mi>AB</mi><mo>→</mo></mover>", r"\overrightarrow{\operatorname{AB}}"),
        ("<munder>" + X + "<mo>_</mo></munder>", r"\underline{x}"),
        (
            "<mover><mover><mrow>" + X + Y + "</mrow><mo>⏞</mo></mover><mi>n</mi></mover>",
            r"\overbrace{xy}^{n}",
        ),
        ("<munder><munder>" + X + "<mo>⏟</mo></munder>" + Y + "</munder>", r"\underbrace{x}_{y}"),
        ("<mover><mo>→</mo><mi>f</mi></mover>", r"\xrightarrow{f}"),
        ("<munderover><mo>→</mo><mi>g</mi><mi>f</mi></munderover>", r"\xrightarrow[g]{f}"),
        ("<mover><mo>=</mo><mtext>def</mtext></mover>", r"\overset{\text{def}}{=}"),
        ("<munder>" + X + Y + "</munder>", r"\underset{y}{x}"),
        # Delimiters
        ("<mo>(</mo>" + HALF + "<mo>)</mo>", r"\left(\frac{1}{2}\right)"),
        ("<mo stretchy='false'>(</mo>" + HALF + "<mo stretchy='false'>)</mo>", r"(\frac{1}{2})"),
        ("<mo>(</mo>" + X + "<mo>)</mo>", "(x)"),
        (
            "<msup><mrow><mo>(</mo>" + HALF + "<mo>)</mo></mrow><mn>2</mn></msup>",
            r"\left(\frac{1}{2}\right)^{2}",
        ),
        (
            "<mi>f</mi><mo>(</mo>" + HALF + "<mo>)</mo><mo>[</mo>" + X + "<mo>)</mo>",
            r"f\left(\frac{1}{2}\right)[x)",
        ),
        ("<mo>]</mo>" + HALF + "<mo>[</mo>", r"\left]\frac{1}{2}\right["),
        ("<mo>|</mo>" + HALF + "<mo>|</mo>", r"\left|\frac{1}{2}\right|"),
        ("<mo>|</mo>" + X + "<mo>|</mo><mo>+</mo><mo>|</mo>" + Y + "<mo>|</mo>", "|x|+|y|"),
        ("<mo>‖</mo>" + X + "<mo>‖</mo>", r"\|x\|"),
        (
            "<msub><mrow><mo fence='true'></mo>" + HALF + "<mo>|</mo></mrow><mn>0</mn></msub>",
            r"\left.\frac{1}{2}\right|_{0}",
        ),
        ("<mfenced>" + X + Y + "</mfenced>", "(x,y)"),
        ("<mfenced open='[' close=')' separators=';'>" + X + Y + "</mfenced>", "[x;y)"),
        ("<mfenced open='{' close=''>" + X + "</mfenced>", r"\{x"),
        ("<mfenced open='|' close='|'>" + HALF + "</mfenced>", r"\left|\frac{1}{2}\right|"),
        # Tables
        (TABLE, rf"\begin{{matrix}}{BODY}\end{{matrix}}"),
        ("<mo>(</mo>" + TABLE + "<mo>)</mo>", rf"\begin{{pmatrix}}{BODY}\end{{pmatrix}}"),
        (
            "<mfenced open='[' close=']'>" + TABLE + "</mfenced>",
            rf"\begin{{bmatrix}}{BODY}\end{{bmatrix}}",
        ),
        ("<mo>|</mo>" + TABLE + "<mo>|</mo>", rf"\begin{{vmatrix}}{BODY}\end{{vmatrix}}"),
        (
            "<mo>⟨</mo>" + TABLE + "<mo>⟩</mo>",
            rf"\left\langle\begin{{matrix}}{BODY}\end{{matrix}}\right\rangle",
        ),
        (X + "<mo>=</mo><mo>{</mo>" + TABLE, rf"x=\begin{{cases}}{BODY}\end{{cases}}"),
        ("<mo>{</mo>" + TABLE + "<mo></mo>", rf"\begin{{cases}}{BODY}\end{{cases}}"),
        (
            TABLE.replace("<mtable>", "<mtable columnalign='right left'>"),
            rf"\begin{{aligned}}{BODY}\end{{aligned}}",
        ),
        (
            "<mtable><mlabeledtr><mtd><mtext>(1)</mtext></mtd><mtd>"
            + X
            + "</mtd></mlabeledtr></mtable>",
            "x",
        ),
        (
            "<mtable><mtr><mtd>" + X + "</mtd></mtr><mtr><mtd><mo>[</mo></mtd></mtr></mtable>",
            r"\begin{matrix}x \\ {}[\end{matrix}",
        ),
        # Everything else
        ("<menclose notation='box'>" + X + "</menclose>", r"\boxed{x}"),
        (
            "<menclose notation='updiagonalstrike downdiagonalstrike'>" + X + "</menclose>",
            r"\xcancel{x}",
        ),
        ("<menclose notation='circle'>" + X + "</menclose>", "x"),
        ("<mphantom>" + X + "</mphantom>", r"\phantom{x}"),
        ("<mpadded><mstyle><merror>" + X + "</merror></mstyle></mpadded>", "x"),
        ("<maction actiontype='toggle'>" + X + Y + "</maction>", "x"),
        ("<semantics>" + X + "<annotation-xml><ci>y</ci></annotation-xml></semantics>", "x"),
        ("<msup>" + X + "</msup><mfrac>" + Y + "</mfrac>", "xy"),
        ("<!-- comment -->" + X, "x"),
        ("", ""),
    ],
)
def test_mathml_becomes_latex(markup: str, latex: str) -> None:
    assert latex_of(first(f"<math>{markup}</math>")) == latex


def test_namespace_prefixes_make_no_difference() -> None:
    markup = (
        "<mml:math><mml:msub><mml:mi>x</mml:mi><mml:mn>1</mml:mn></mml:msub>"
        "<mml:mspace width='1em'/><mml:mo>=</mml:mo>"
        "<mml:mmultiscripts><mml:mi>y</mml:mi><mml:mprescripts/><mml:none/><mml:mn>2</mml:mn>"
        "</mml:mmultiscripts></mml:math>"
    )
    assert shown(markup) == [inline(r"x_{1}\quad={}^{2}y")]


# --- Typesetting systems ------------------------------------------------------------------------

SQUARE = "<msup><mi>x</mi><mn>2</mn></msup>"
KATEX = (
    '<span class="katex"><span class="katex-mathml"><math xmlns="http://www.w3.org/1998/Math/MathML">'
    f"<semantics><mrow>{SQUARE}</mrow>"
    '<annotation encoding="application/x-tex">x^2 </annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span class="base"><span class="mord">x</span>'
    '<span class="msupsub">2</span></span></span></span>'
)
WIKIPEDIA = (
    '<span class="mwe-math-element"><span class="mwe-math-mathml-inline mwe-math-mathml-a11y" '
    'style="display: none;"><math alttext="{\\displaystyle x^{2}}"><semantics>'
    f'<mrow class="MJX-TeXAtom-ORD"><mstyle displaystyle="true">{SQUARE}</mstyle></mrow>'
    '<annotation encoding="application/x-tex">{\\displaystyle x^{2}}</annotation></semantics>'
    '</math></span><img src="/math/render/svg/0ab1" class="mwe-math-fallback-image-inline" '
    'alt="{\\displaystyle x^{2}}"></span>'
)
MATHJAX_GLYPHS = (
    '<nobr><span class="math"><span><span class="mrow"><span class="msubsup"><span class="mi">x'
    '</span><span class="mn">2</span></span></span></span></span></nobr>'
)
ASSISTIVE = f'<span class="MJX_Assistive_MathML" role="presentation"><math>{SQUARE}</math></span>'
MATHJAX_2 = f'<span class="MathJax" id="MathJax-Element-1-Frame">{MATHJAX_GLYPHS}</span>'
DATA_MATHML = escape(f"<math>{SQUARE}</math>")
MATHJAX_3 = (
    '<mjx-container class="MathJax" jax="CHTML"><mjx-math aria-hidden="true"><mjx-msup><mjx-mi>'
    '<mjx-c class="mjx-c1D465"></mjx-c></mjx-mi></mjx-msup></mjx-math>'
    '<mjx-assistive-mml display="inline"><math><msup><mi>x</mi><mn>2</mn></msup></math>'
    "</mjx-assistive-mml></mjx-container>"
)


@pytest.mark.parametrize(
    ("markup", "found"),
    [
        (KATEX, [inline("x^2")]),
        (
            f'<p>Let <span class="katex-display">{KATEX}</span> be</p>',
            ["Let", displayed("x^2"), "be"],
        ),
        (WIKIPEDIA, [inline("x^{2}")]),
        (WIKIPEDIA.replace("<math", "<math display='block'"), [displayed("x^{2}")]),
        (re.sub("<math.*</math>", "", WIKIPEDIA), [inline("x^{2}")]),
        (
            f"<span class='MathJax_Preview'></span>{MATHJAX_2}<script type='math/tex'>x^2</script>",
            [inline("x^2")],
        ),
        (
            "<span class='MathJax_Preview'>x2</span><div class='MathJax_Display'>"
            f"{MATHJAX_2}</div>\n<script type='math/tex; mode=display' id='MathJax-Element-1'>x^2"
            "</script> end",
            [displayed("x^2"), "end"],
        ),
        (
            "<span class='MathJax_Preview'>x2</span><script type='math/tex'>x^2</script>",
            [inline("x^2")],
        ),
        ("<span class='MathJax_Preview'>\\(x^2\\)</span>", [inline("x^2")]),
        ("<span class='MathJax_Preview'>[image]</span> of", ["[image]", "of"]),
        (f"<span class='MathJax'>{MATHJAX_GLYPHS}{ASSISTIVE}</span>", [inline("x^{2}")]),
        (
            "<div class='MathJax_Display'><span class='MathJax'>"
            f"{MATHJAX_GLYPHS}{ASSISTIVE}</span></div>",
            [displayed("x^{2}")],
        ),
        (
            f"<span class='MathJax_SVG' data-mathml='{DATA_MATHML}'><svg></svg></span>",
            [inline("x^{2}")],
        ),
        (
            f"<span class='MathJax'>{ASSISTIVE}</span><script type='math/asciimath'>x</script>",
            [inline("x^{2}")],
        ),
        (
            f"<span class='MathJax'>{ASSISTIVE}</span> then <script type='math/tex'>y</script>",
            [inline("x^{2}"), "then", inline("y")],
        ),
        (MATHJAX_3, [inline("x^{2}")]),
        (MATHJAX_3.replace("jax=", "display='true' jax="), [displayed("x^{2}")]),
        (
            "<mjx-container class='MathJax' jax='CHTML'><mjx-math data-latex='x^2'><mjx-msup>"
            "<mjx-mi><mjx-c>𝑥</mjx-c></mjx-mi></mjx-msup></mjx-math></mjx-container>",
            [inline("x^2")],
        ),
        (
            "<mjx-container class='MathJax' jax='SVG' display='true'><svg><defs></defs><g><g "
            "data-mml-node='math' data-latex='x^2'></g></g></svg></mjx-container>",
            [displayed("x^2")],
        ),
        # LaTeXML: the annotation breaks lines where its source did; older pages have only alttext.
        (
            f"<math display='block' alttext='x^{{2}}'><semantics>{SQUARE}<annotation-xml "
            "encoding='MathML-Content'><apply><ci>x</ci></apply></annotation-xml><annotation "
            "encoding='application/x-tex'>x^{%\n2}</annotation></semantics></math>",
            [displayed("x^{ 2}")],
        ),
        (f"<math alttext='\\pazocal x'>{SQUARE}</math>", [inline("\\pazocal x")]),
        (f"<math alttext='x squared'>{SQUARE}</math>", [inline("x^{2}")]),
        (
            f"<math><semantics>{SQUARE}<annotation encoding='StarMath 5.0'>x^2</annotation>"
            "</semantics></math>",
            [inline("x^{2}")],
        ),
        (
            f"<math><semantics>{SQUARE}<annotation encoding='TeX'>x}}^2</annotation></semantics>"
            "</math>",
            [inline("x^{2}")],
        ),
        (f"<math mode='display'>{SQUARE}</math>", [displayed("x^{2}")]),
        ("<math>\\frac{1}{2}</math>", [inline("\\frac{1}{2}")]),
        # Waiting for a script that typesets them
        ("<span class='math-container'>$x^2$</span>", [inline("x^2")]),
        ("<span class='math-container'>$$x^2$$</span>", [displayed("x^2")]),
        ("<span class='math inline'>\\(x^2\\)</span>", [inline("x^2")]),
        (
            "<div class='math notranslate'>\n\\[\\begin{split}x\\end{split}\\]</div>",
            [displayed("\\begin{split}x\\end{split}")],
        ),
        ("<span class='math'>\\(x \\text{ if $y$}\\)</span>", [inline("x \\text{ if $y$}")]),
        ("<math-renderer>$x^2$</math-renderer>", [inline("x^2")]),
        (
            "<code class='code math js-render-math' data-math-style='display'>x^2</code>",
            [displayed("x^2")],
        ),
        ("<span class='ztext-math' data-tex='x^2'>x^2</span>", [inline("x^2")]),
        (f"<span class='ql-formula' data-value='x^2'>{KATEX}</span>", [inline("x^2")]),
        ("<amp-mathml data-formula='\\[x^2\\]'></amp-mathml>", [displayed("x^2")]),
        # No formulas
        ("<span class='math inline'><em>x</em></span>", ["x"]),
        ("<p class='math'>Mathematics for $5 a day</p>", ["Mathematics", "for", "$5", "a", "day"]),
        ("<span class='math-container'>$x$ and $y$</span>", ["$x$", "and", "$y$"]),
        ("<span class='math-container'>$x}$</span>", ["$x}$"]),
        ("<span class='katex'><span class='katex-html'>x</span></span>", ["x"]),
        ("<math></math><mjx-container></mjx-container>", []),
    ],
)
def test_each_system_shows_its_formula_once(markup: str, found: list[Formula | str]) -> None:
    assert shown(markup) == found


def test_a_rendering_before_its_source_is_no_formula_of_its_own() -> None:
    rendering = first(f"{MATHJAX_2}<!-- --> <script type='math/tex'>x^2</script>")
    assert read_formula(rendering) == Formula("", False)


# --- Scripts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "text", "formula"),
    [
        ("math/tex", " x^2\n", inline("x^2")),
        ("math/tex; mode=display", "x^2", displayed("x^2")),
        ("MATH/TeX;mode=display", "x^2", displayed("x^2")),
        (
            "math/tex",
            "\\begin{align*}x&=1\\end{align*}",
            displayed("\\begin{align*}x&=1\\end{align*}"),
        ),
        ("math/tex", "% <![CDATA[\na < b %]]>", inline("a < b")),
        ("math/tex", "a &lt; b &amp; c", inline("a < b & c")),
        ("math/tex", "x % the unknown\n+ 5\\%", inline("x + 5\\%")),
        ("math/tex", "x\\ ", inline("x")),
        ("math/tex", "{\\textstyle x}", inline("x")),
        ("math/tex", "{\\displaystyle x}+{y}", inline("{\\displaystyle x}+{y}")),
        ("math/tex", "{\\displaystylex}", inline("{\\displaystylex}")),
        ("math/tex", "", None),
        ("math/tex", "{x", None),
        ("math/tex", "x}{y", None),
        ("math/tex", "x" * 20_001, None),
        ("math/mml", f"<math display='block'>{SQUARE}</math>", displayed("x^{2}")),
        ("math/mml", "x", None),
        ("math/asciimath", "x^2", None),
        ("text/javascript", "x^2", None),
        ("", "x^2", None),
    ],
)
def test_scripts_of_mathjax_2(kind: str, text: str, formula: Formula | None) -> None:
    assert formula_script(script(kind, text)) == formula


# --- Images -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "formula"),
    [
        ({"class": "latex", "alt": "\\frac{a}{b}", "src": "/a.png"}, inline("\\frac{a}{b}")),
        ({"class": "latex", "alt": "$ABC$"}, inline("ABC")),
        ({"class": "latexcenter", "alt": "\\[x=1\\]"}, displayed("x=1")),
        ({"class": "tex", "alt": "n"}, inline("n")),
        ({"class": "math", "alt": "E=mc^2"}, inline("E=mc^2")),
        ({"class": "mwe-math-fallback-image-inline", "alt": "{\\displaystyle n}"}, inline("n")),
        ({"class": "mwe-math-fallback-image-display", "alt": "abc"}, displayed("abc")),
        ({"src": "https://a.org/latex.php?latex=%5Calpha+%2B+x&bg=fff&s=0"}, inline("\\alpha + x")),
        ({"src": "https://a.org/latex.php?bg=fff&amp;latex=x"}, inline("x")),
        ({"src": "//a.org/gif.latex?\\frac{a}{b}&space;+&plus;c"}, inline("\\frac{a}{b} ++c")),
        ({"src": "//a.org/svg.image?\\inline&space;\\large&space;\\dpi{300}x^2"}, inline("x^2")),
        ({"src": "//a.org/svg.image?\\largest"}, inline("\\largest")),
        ({"src": "/cgi-bin/mathtex.cgi?x%5E2"}, inline("x^2")),
        ({"src": "/cgi-bin/tex.cgi?x^2"}, inline("x^2")),
        (
            {"data-src": "https://a.org/equation?tex=x%5E2", "src": "data:image/gif;base64,R0=="},
            inline("x^2"),
        ),
        ({"src": "https://a.org/chart?cht=tx&chl=x%5E2"}, inline("x^2")),
        ({"src": "https://a.org/render/math?math=x%5E2"}, inline("x^2")),
        ({"src": "/gif.latex?{x", "class": "latex", "alt": "x_1"}, inline("x_1")),
        ({"src": "https://a.org/chart?cht=p3&chl=x"}, None),
        ({"src": "https://a.org/latex.php?id=12"}, None),
        ({"src": "https://a.org/photo.png?tex=x"}, None),
        ({"src": "https://a.org/gif.latex?" + "x" * 9_000}, None),
        ({"class": "latex", "alt": "Latex gloves", "src": "/gloves.jpg"}, None),
        ({"class": "latex", "alt": None, "src": None}, None),
        ({"alt": "x^2", "src": "/x.png"}, None),
        ({}, None),
    ],
)
def test_images_of_formulas(attributes: dict[str, str | None], formula: Formula | None) -> None:
    assert formula_image(attributes) == formula


# --- Limits -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "markup",
    [
        "<mrow>" * 10_000 + X,
        "<mfrac>" * 10_000 + X,
        X * 20_000,
        "<mrow></mrow>" * 20_000,
        f"<mtable>{CELLS * 10_000}</mtable>",
        f"<mtext>{'word ' * 20_000}</mtext>",
        f"<mi>{'∑' * 40_000}</mi>",
        X + "<math>" * 1_000 + X,
    ],
    ids=["rows", "fractions", "wide", "empty", "table", "text", "symbols", "math in math"],
)
def test_past_a_limit_there_is_no_formula(markup: str) -> None:
    assert read_formula(first(f"<math>{markup}")) is None


def test_depth_below_the_limit_is_converted() -> None:
    deep = "<msqrt>" * 150 + X + "</msqrt>" * 150
    assert latex_of(first(f"<math>{deep}</math>")) == "\\sqrt{" * 150 + "x" + "}" * 150


# --- Properties ---------------------------------------------------------------------------------

_TOKENS = ("mi", "mn", "mo", "mtext", "ms", "mspace", "none", "mprescripts", "mglyph")
_LAYOUTS = (
    *(
        "mrow",
        "mfrac",
        "msqrt",
        "mroot",
        "msub",
        "msup",
        "msubsup",
        "munder",
        "mover",
        "munderover",
    ),
    *("mmultiscripts", "mtable", "mtr", "mlabeledtr", "mtd", "mfenced", "mstyle", "menclose"),
    *("mpadded", "mphantom", "merror", "maction", "semantics", "annotation", "mi", "mspace", "b"),
)
_SIGNS = "xfi12+=()[]{}|‖∑∫→^~¯_⏞⏟′'°%&#$\\,.;∣\u2061\u0338ℝ𝐀𝛼é中"
_TEXTS = st.sampled_from([*_SIGNS, "", "sin", "AB", "lim"]) | st.text(max_size=6)
_NAMES = (
    *("mathvariant", "stretchy", "open", "close", "separators", "width", "notation"),
    *("columnalign", "linethickness", "display", "class", "encoding"),
)
_VALUES = ("", "bold", "normal", "false", "0", "{", "\\", "box", "right left", "1em")
_ATTRIBUTES = st.dictionaries(
    st.sampled_from(_NAMES), st.sampled_from(_VALUES) | st.text(max_size=4), max_size=2
)


def element(tag: str, attributes: dict[str, str], inside: str) -> str:
    written = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{written}>{inside}</{tag}>"


def mathml() -> SearchStrategy[str]:
    """Markup with the elements of MathML in any order and number."""
    tokens = st.builds(element, st.sampled_from(_TOKENS), _ATTRIBUTES, _TEXTS.map(escape))
    return st.recursive(
        tokens,
        lambda inner: st.builds(
            element,
            st.sampled_from(_LAYOUTS),
            _ATTRIBUTES,
            st.lists(inner, max_size=4).map("".join),
        ),
        max_leaves=12,
    )


_PAIRED = re.compile(r"\\(begin|end)\{(\w+)\*?\}|\\(left|right)(?![a-z])|\\.|[{}]", re.DOTALL)
_PARTNERS = {"end": "begin", "right": "left", "}": "{"}


def unmatched(latex: str) -> bool:
    """Whether groups, environments or growing delimiters do not come in pairs."""
    opened: list[tuple[str, str]] = []
    for sign in _PAIRED.finditer(latex):
        kind = sign[1] or sign[3] or sign[0]
        if kind in _PARTNERS.values():
            opened.append((kind, sign[2] or ""))
        elif kind in _PARTNERS and (not opened or opened.pop() != (_PARTNERS[kind], sign[2] or "")):
            return True
    return bool(opened)


@given(st.lists(mathml(), max_size=3))
def test_any_mathml_gives_well_formed_latex_or_nothing(markup: list[str]) -> None:
    latex = latex_of(first(f"<math>{''.join(markup)}</math>"))
    assert latex is not None
    assert latex == latex.strip()
    assert not unmatched(latex), latex


@given(
    st.sampled_from([*sorted(FORMULA_TAGS), "span"]),
    st.sampled_from([*sorted(FORMULA_CLASSES), ""]),
    st.one_of(mathml(), st.text(), st.text(alphabet="$\\{}[]()x% \n", max_size=12)),
)
def test_candidates_are_read_or_refused_but_never_fail(tag: str, name: str, inside: str) -> None:
    formula = read_formula(first(f"<{tag} class='{name}'>{inside}</{tag}>"))
    assert formula is None or (formula.latex.strip() and not unmatched(formula.latex))


@given(
    st.text(alphabet="$\\{}[]()x% \n<!CDATA>", max_size=16),
    st.sampled_from(["math/tex", "math/mml"]),
)
def test_scripts_never_fail(text: str, kind: str) -> None:
    formula = formula_script(script(kind, text))
    assert formula is None or not unmatched(formula.latex)


@given(
    st.dictionaries(
        st.sampled_from(["src", "alt", "class", "data-src"]),
        st.none()
        | st.text()
        | st.sampled_from(
            ["latex", "math tex", "http://[bad/gif.latex?%zz", "/math?math=%5C", "/tex?tex"]
        ),
    )
)
def test_images_never_fail(attributes: dict[str, str | None]) -> None:
    formula = formula_image(attributes)
    assert formula is None or formula.latex.strip()
