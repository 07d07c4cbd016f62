"""Unicode signs, letters and accents of mathematics, and the LaTeX commands for them."""

from __future__ import annotations

# Each word is a character and what it becomes.
_PAIRS = r"""
    α\alpha β\beta γ\gamma δ\delta ε\varepsilon ϵ\epsilon ζ\zeta η\eta θ\theta ϑ\vartheta ι\iota
    κ\kappa ϰ\varkappa λ\lambda μ\mu µ\mu ν\nu ξ\xi οo π\pi ϖ\varpi ρ\rho ϱ\varrho σ\sigma
    ς\varsigma τ\tau υ\upsilon φ\varphi ϕ\phi χ\chi ψ\psi ω\omega ϝ\digamma Γ\Gamma Δ\Delta ∆\Delta
    Θ\Theta ϴ\Theta Λ\Lambda Ξ\Xi Π\Pi Σ\Sigma Υ\Upsilon ϒ\Upsilon Φ\Phi Ψ\Psi Ω\Omega
    ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΧX
    ℎh ℏ\hbar ħ\hbar ℓ\ell ℘\wp ℜ\Re ℑ\Im ℵ\aleph ℶ\beth ℷ\gimel ℸ\daleth ð\eth ℧\mho ı\imath
    ȷ\jmath ⅆd ⅅD ⅇe ℯe ⅈi ⅉj ℴo ℊg ∂\partial ∇\nabla ∞\infty ∅\emptyset ⌀\varnothing ∀\forall
    ∃\exists ∄\nexists ¬\neg ∠\angle ∡\measuredangle ∢\sphericalangle △\triangle □\square ▢\square
    ■\blacksquare ◊\lozenge ⧫\blacklozenge ▲\blacktriangle ▼\blacktriangledown ▽\triangledown
    ★\bigstar ∎\blacksquare ♠\spadesuit ♡\heartsuit ♢\diamondsuit ♣\clubsuit ♭\flat ♮\natural
    ♯\sharp ✓\checkmark ✠\maltese ⊤\top ⊥\perp ⟂\perp ∴\therefore ∵\because £\text{£} §\text{§}
    ¶\text{¶} €\text{€} °{^{\circ}} …\ldots ⋯\cdots ⋮\vdots ⋱\ddots ∶: ∷:: ′' ‵\backprime
    −- ‐- ‑- –- —- ∗* ×\times ÷\div ±\pm ∓\mp ·\cdot ⋅\cdot ∙\bullet •\bullet ∘\circ ⋆\star
    ∔\dotplus ∖\setminus ⧵\setminus ≀\wr ∩\cap ∪\cup ⊎\uplus ⊓\sqcap ⊔\sqcup ⋒\Cap ⋓\Cup ∧\wedge
    ∨\vee ⊻\veebar ⊼\barwedge ⋏\curlywedge ⋎\curlyvee ⊕\oplus ⊖\ominus ⊗\otimes ⊘\oslash ⊙\odot
    ⊚\circledcirc ⊛\circledast ⊝\circleddash ⊞\boxplus ⊟\boxminus ⊠\boxtimes ⊡\boxdot ◯\bigcirc
    ⋄\diamond ◃\triangleleft ▹\triangleright ⋉\ltimes ⋊\rtimes ⋋\leftthreetimes ⋌\rightthreetimes
    ⨿\amalg †\dagger ‡\ddagger ⋇\divideontimes ⊺\intercal
    ∑\sum ∏\prod ∐\coprod ∫\int ∬\iint ∭\iiint ∮\oint ⋀\bigwedge ⋁\bigvee ⋂\bigcap ⋃\bigcup
    ⨀\bigodot ⨁\bigoplus ⨂\bigotimes ⨄\biguplus ⨆\bigsqcup √\surd
    ≤\leq ≥\geq ⩽\leqslant ⩾\geqslant ≦\leqq ≧\geqq ≠\neq ≡\equiv ≈\approx ≊\approxeq ≅\cong ∼\sim
    ∽\backsim ≃\simeq ⋍\backsimeq ≁\nsim ≇\ncong ≍\asymp ≎\Bumpeq ≏\bumpeq ≐\doteq ≑\doteqdot
    ≒\fallingdotseq ≓\risingdotseq ≔\coloneqq ≕\eqqcolon ≖\eqcirc ≗\circeq ≜\triangleq ∝\propto
    ≪\ll ≫\gg ⋘\lll ⋙\ggg ≮\nless ≯\ngtr ≰\nleq ≱\ngeq ≲\lesssim ≳\gtrsim ≶\lessgtr ≷\gtrless
    ⪅\lessapprox ⪆\gtrapprox ⋚\lesseqgtr ⋛\gtreqless ⋖\lessdot ⋗\gtrdot ≺\prec ≻\succ ⪯\preceq
    ⪰\succeq ≼\preccurlyeq ≽\succcurlyeq ≾\precsim ≿\succsim ⊀\nprec ⊁\nsucc ⪷\precapprox
    ⪸\succapprox ∈\in ∉\notin ∋\ni ⊂\subset ⊃\supset ⊆\subseteq ⊇\supseteq ⫅\subseteqq ⫆\supseteqq
    ⊈\nsubseteq ⊉\nsupseteq ⊊\subsetneq ⊋\supsetneq ⊄\not\subset ⊅\not\supset ⋐\Subset ⋑\Supset
    ⊏\sqsubset ⊐\sqsupset ⊑\sqsubseteq ⊒\sqsupseteq ⊢\vdash ⊣\dashv ⊨\models ⊩\Vdash ⊪\Vvdash
    ⊬\nvdash ⊭\nvDash ⊲\vartriangleleft ⊳\vartriangleright ⊴\trianglelefteq ⊵\trianglerighteq
    ⋈\bowtie ⌣\smile ⌢\frown ∣\mid ∤\nmid ∥\parallel ∦\nparallel ⋔\pitchfork ≬\between ≢\not\equiv
    ≉\not\approx ≭\not\asymp
    →\to ←\leftarrow ↔\leftrightarrow ↑\uparrow ↓\downarrow ↕\updownarrow ⇒\Rightarrow ⇐\Leftarrow
    ⇔\Leftrightarrow ⇑\Uparrow ⇓\Downarrow ⇕\Updownarrow ⟶\longrightarrow ⟵\longleftarrow
    ⟷\longleftrightarrow ⟹\Longrightarrow ⟸\Longleftarrow ⟺\Longleftrightarrow ↦\mapsto
    ⟼\longmapsto ↪\hookrightarrow ↩\hookleftarrow ⇀\rightharpoonup ⇁\rightharpoondown
    ↼\leftharpoonup ↽\leftharpoondown ⇌\rightleftharpoons ⇋\leftrightharpoons ↗\nearrow ↘\searrow
    ↙\swarrow ↖\nwarrow ↠\twoheadrightarrow ↞\twoheadleftarrow ↣\rightarrowtail ↢\leftarrowtail
    ⇄\rightleftarrows ⇆\leftrightarrows ⇉\rightrightarrows ⇇\leftleftarrows ⇝\rightsquigarrow
    ↝\leadsto ⇢\dashrightarrow ⇠\dashleftarrow ↚\nleftarrow ↛\nrightarrow ↮\nleftrightarrow
    ⇏\nRightarrow ⇍\nLeftarrow ⇎\nLeftrightarrow ↺\circlearrowleft ↻\circlearrowright
    ↶\curvearrowleft ↷\curvearrowright ↾\upharpoonright ↰\Lsh ↱\Rsh ⇚\Lleftarrow ⇛\Rrightarrow
    {\{ }\} ⟨\langle ⟩\rangle 〈\langle 〉\rangle ⌊\lfloor ⌋\rfloor ⌈\lceil ⌉\rceil ‖\|
    ⟦\llbracket ⟧\rrbracket ⟮\lgroup ⟯\rgroup ⎰\lmoustache ⎱\rmoustache ⌜\ulcorner ⌝\urcorner
    ⌞\llcorner ⌟\lrcorner \\backslash %\% #\# &\& $\$ _\_ ~\sim ^\wedge
    """
SYMBOLS = {pair[0]: pair[1:] for pair in _PAIRS.split()}
# Invisible operators, joiners and variation selectors; and a stroke that has nothing to go through.
INVISIBLE = frozenset(
    "\u2061\u2062\u2063\u2064\u200b\u200c\u200d\u2060\ufeff\ufe00\ufe0e\ufe0f\u0338"
)
SYMBOLS |= dict.fromkeys(INVISIBLE, "")
SYMBOLS |= {"\u2033": "''", "\u2034": "'''", "\u2057": "''''"}
SPELLED = {"...": "\\ldots", "->": "\\to", "=>": "\\Rightarrow", "!=": "\\neq", "mod": "\\bmod"}
SPELLED |= {"<=": "\\leq", ">=": "\\geq", "||": "\\|"}
_NAMES = (
    "arccos arcsin arctan arg cos cosh cot coth csc deg det dim exp gcd hom inf ker lg lim liminf"
    " limsup ln log max min Pr sec sin sinh sup tan tanh"
)
FUNCTIONS = {name: "\\" + name for name in _NAMES.split()}
FUNCTIONS |= {"lim inf": "\\liminf", "lim sup": "\\limsup"}
# Scripts of these stand over and under them in a displayed formula.
_WITH_LIMITS = ("det", "gcd", "inf", "lim", "liminf", "limsup", "max", "min", "Pr", "sup")
LIMITS = frozenset(FUNCTIONS[name] for name in _WITH_LIMITS)
LIMITS |= frozenset(SYMBOLS[char] for char in "∑∏∐⋀⋁⋂⋃⨀⨁⨂⨄⨆")
INTEGRALS = frozenset(SYMBOLS[char] for char in "∫∬∭∮")

OPENING = dict(zip("([{⟨〈⌊⌈⟦⟮⎰", ")]}⟩〉⌋⌉⟧⟯⎱", strict=True))
CLOSING = frozenset(OPENING.values())
_BARS = {"|": "|", "∣": "|", "‖": "\\|", "∥": "\\|", "": "."}
DELIMITERS = {char: SYMBOLS.get(char, char) for char in (*OPENING, *CLOSING)} | _BARS
MATRICES = {"()": "pmatrix", "[]": "bmatrix", "{}": "Bmatrix", "||": "vmatrix", "‖‖": "Vmatrix"}
MATRICES |= {"∣∣": "vmatrix", "∥∥": "Vmatrix", "{": "cases"}

STYLES = {
    "bold": "mathbf",
    "bold-italic": "boldsymbol",
    "bold-sans-serif": "mathsf",
    "double-struck": "mathbb",
    "fraktur": "mathfrak",
    "bold-fraktur": "mathfrak",
    "black-letter": "mathfrak",
    "italic": "mathit",
    "monospace": "mathtt",
    "normal": "mathrm",
    "sans-serif": "mathsf",
    "sans-serif-bold": "mathsf",
    "sans-serif-italic": "mathsf",
    "sans-serif-bold-italic": "mathsf",
    "script": "mathcal",
    "bold-script": "mathcal",
}
TEXT_STYLES = {"bold": "textbf", "italic": "textit", "monospace": "texttt", "sans-serif": "textsf"}

# Signs of one accent, combining and modifier characters among them; and what it is over one
# character, and over more.
_ACCENTS = {
    "^ˆ\u0302": ("hat", "widehat"),
    "~˜∼\u0303": ("tilde", "widetilde"),
    "¯ˉ\u0304": ("bar", "overline"),
    "‾―⎯_\u0305": ("overline", "overline"),
    "→⇀\u20d7": ("vec", "overrightarrow"),
    "←\u20d6": ("overleftarrow", "overleftarrow"),
    "↔": ("overleftrightarrow", "overleftrightarrow"),
    "˙.\u0307": ("dot", "dot"),
    "¨\u0308": ("ddot", "ddot"),
    "\u20db": ("dddot", "dddot"),
    "ˇ\u030c": ("check", "check"),
    "´ˊ\u0301": ("acute", "acute"),
    "`ˋ\u0300": ("grave", "grave"),
    "˘\u0306": ("breve", "breve"),
    "˚°\u030a": ("mathring", "mathring"),
    "⏞︷": ("overbrace", "overbrace"),
}
_ACCENTS_BELOW = {
    "_‾¯―⎯\u0332\u0331": ("underline", "underline"),
    "→": ("underrightarrow", "underrightarrow"),
    "←": ("underleftarrow", "underleftarrow"),
    "⏟︸": ("underbrace", "underbrace"),
}
OVER = {sign: names for signs, names in _ACCENTS.items() for sign in signs}
UNDER = {sign: names for signs, names in _ACCENTS_BELOW.items() for sign in signs}
LONG_ARROWS = {
    "→": "xrightarrow",
    "⟶": "xrightarrow",
    "←": "xleftarrow",
    "⟵": "xleftarrow",
    "↔": "xleftrightarrow",
    "⇒": "xRightarrow",
    "⟹": "xRightarrow",
    "⇐": "xLeftarrow",
    "⇔": "xLeftrightarrow",
    "↦": "xmapsto",
    "⇌": "xrightleftharpoons",
}
ENCLOSURES = {
    "box": "boxed",
    "roundedbox": "boxed",
    "updiagonalstrike": "cancel",
    "downdiagonalstrike": "bcancel",
    "top": "overline",
    "bottom": "underline",
    "radical": "sqrt",
}
TEXT_ESCAPES = {char: "\\" + char for char in "{}%#&$_"}
TEXT_ESCAPES |= {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
SPACES = {"\u2003": "\\quad", "\u2001": "\\quad", "\u2009": "\\,", "\u2006": "\\,", "\u200a": ""}
SPACES |= {"\u2005": "\\:", "\u2004": "\\;", " ": "", "\t": "", "\n": ""}
