"""Train the small classifier of languages out of the translations of free software.

usage: python jobs/models/train_language.py FOLDER [--out FILE]

FOLDER holds unpacked packages of Debian (`apt-get download NAME`, `dpkg -x NAME.deb FOLDER`). The
shipped model was trained on bookworm's mediawiki, vlc-l10n, chromium-l10n, iso-codes, every
libreoffice-l10n-* and firefox-esr-l10n-*, and the catalogues of GNOME's programs, GIMP, AbiWord,
Gnumeric, Pidgin and Freeciv (nautilus-data, evolution-common, gimp-data and the like): gettext
catalogues, MediaWiki's JSON and Firefox's Fluent messages. All are free software (GPL, LGPL, MPL);
operators/models/LICENSE.md lists them. Threads race in fastText's training, so that no two runs
give the same bytes.
"""

from __future__ import annotations

import argparse
import gettext
import json
import random
import re
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import fasttext

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators.language import OWN
from operators.scripts import PLANES, script_table

# Languages that lid.176 does not know, its most frequent ones, and close relatives of either.
LANGUAGES = """
    ach af an ar ast az be bg bn br bs ca ceb ckb cs cy da de el en eo es et eu fa ff fi fo fr fy ga
    gd gl gn gu ha he hi hr hu hy id ig is it ja jv ka kab kk km ko ku ky la lb lg lt lv mg mi mk mn
    mr ms mt nb ne nl nn nso oc om pa pl ps pt ro ru rw sk sl sn so sq sr st su sv sw ta te tg th tl
    tn tr ts tt ug uk ur uz vec vi war xh yo zh zu
""".split()
ALIASES = {"no": "nb", "iw": "he", "in": "id", "fil": "tl", "kmr": "ku", "gug": "gn", "sh": "sr"}
VARIANTS = ("zh", "sr", "sh", "kk", "tt", "ku", "be", "ca")
CHARS = 200_000  # letters of a language, taken evenly from its sources
MOST_TIMES = 8  # that the text of a language with little is repeated
LONGEST = 300  # letters of an example
MARKUP = [
    (re.compile(r"<[^<>]*>|https?://\S+|\S+@\S+\.\S+"), " "),
    (re.compile(r"\{\{[^{}]*?\|([^{}]*)\}\}"), r" \1 "),
    (re.compile(r"\$\w+|%\(?[\w#.\-]*\)?[a-zA-Z]?|\{[^{}]*\}|&\w+;|\\[ntr]|--?[a-z][\w-]*=?"), " "),
    (re.compile(r"[_~&](?=\w)"), ""),  # marks of a key in menus
]
FLUENT = re.compile(r"(?:[\w.-]+|\s+\.[\w-]+)\s*=\s*(.*)")

Texts = dict[str, dict[str, set[str]]]  # language, source, texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OWN)
    options = parser.parse_args()
    found = texts(options.folder)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.writelines(examples(found, random.Random(1)))
        file.flush()
        # n-grams as in lid.176, with which the model is stacked
        model = fasttext.train_supervised(
            file.name,
            dim=16,
            minn=2,
            maxn=4,
            bucket=2_000_000,
            minCount=30,
            epoch=12,
            lr=0.5,
            loss="softmax",
            thread=2,
            verbose=0,
        )
        model.quantize(file.name, cutoff=80_000, verbose=0)
    model.save_model(str(options.out))
    size = options.out.stat().st_size
    sys.stdout.write(f"{len(model.get_labels())} languages, {size:,} bytes\n")
    return 0


def texts(folder: Path) -> Texts:
    """Translations by language and source; untranslated ones are left out."""
    found: Texts = defaultdict(lambda: defaultdict(set))
    for tag, source, text in _translations(folder):
        code = language(tag)
        if code in LANGUAGES:
            found[code][source].add(plain(text))
    english = set().union(*found["en"].values())
    for code, sources in found.items():
        for kept in sources.values():
            kept -= {""} if code == "en" else english | {""}
    return found


def language(tag: str) -> str:
    """The language of a locale; '' for variants in another script than is usual."""
    base, _, rest = tag.replace("_", "-").lower().partition("-")
    base, _, modifier = base.partition("@")
    if base not in VARIANTS and (modifier or len(rest) > 3):
        return ""
    return ALIASES.get(base, base)


def _translations(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Locale, source and text."""
    for path in sorted(folder.rglob("LC_MESSAGES/*.mo")):
        source = "libreoffice" if "libreoffice" in path.parts else "gettext"
        for text in _catalogue(path):
            yield path.parts[-3], source, text
    for path in sorted(folder.glob("usr/share/mediawiki/**/i18n/**/*.json")):
        messages = json.loads(path.read_text("utf-8"))
        for key, text in messages.items():
            if isinstance(text, str) and not key.startswith("@"):
                yield path.stem, "mediawiki", text
    for path in sorted(folder.glob("usr/lib/firefox-esr/browser/extensions/*.xpi")):
        tag = path.name.removeprefix("langpack-").partition("@")[0]
        with zipfile.ZipFile(path) as pack:
            for name in pack.namelist():
                if name.endswith(".ftl"):
                    for line in pack.read(name).decode("utf-8").splitlines():
                        if match := FLUENT.match(line):
                            yield tag, "firefox", match[1]


def _catalogue(path: Path) -> Iterator[str]:
    with path.open("rb") as file:
        try:
            entries = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]
        except (OSError, UnicodeDecodeError, ValueError):  # not a catalogue
            return
    for key, text in entries.items():
        source = key[0] if isinstance(key, tuple) else key
        if source and text and text != source:
            yield text


def plain(text: str) -> str:
    """Words as the classifier sees them: lower case, letters, marks and apostrophes only."""
    for pattern, instead in MARKUP:
        text = pattern.sub(instead, text)
    scripts = script_table()
    kept = (c if ord(c) >= PLANES or scripts[ord(c)] else " " for c in text.lower())
    return " ".join("".join(kept).split())


def examples(found: Texts, chance: random.Random) -> list[str]:
    """Labelled lines of one to four texts, in random order; every language about as much."""
    lines: list[str] = []
    for code in sorted(found):
        chosen = _evenly(found[code], chance)
        times = CHARS // 2 // max(sum(map(len, chosen)), 1)
        for _ in range(min(MOST_TIMES, max(1, times))):
            chance.shuffle(chosen)
            at = 0
            while at < len(chosen):
                count = chance.choice((1, 1, 2, 3, 4))
                lines.append(f"__label__{code} {' '.join(chosen[at : at + count])[:LONGEST]}\n")
                at += count
    chance.shuffle(lines)
    return lines


def _evenly(sources: dict[str, set[str]], chance: random.Random) -> list[str]:
    """At most CHARS letters, those of small sources first, so that large ones fill the rest."""
    chosen: list[str] = []
    left = CHARS
    order = sorted(sources, key=lambda name: (sum(map(len, sources[name])), name))
    for place, name in enumerate(order):
        room = left // (len(order) - place)
        candidates = sorted(sources[name])
        chance.shuffle(candidates)
        for text in candidates:
            if room <= 0:
                break
            if len(text) >= 4:
                chosen.append(text)
                room -= len(text)
                left -= len(text)
    return chosen


if __name__ == "__main__":
    raise SystemExit(main())
