"""Train the small classifier of languages out of the translations of free software.

usage: python jobs/models/train_language.py FOLDER [--out FILE]

FOLDER holds Debian's packages (PACKAGES and all of FAMILIES) as `.deb` files; those that are not
there are fetched with `apt-get download` (bookworm's, for the shipped model). Read are gettext
catalogues, MediaWiki's JSON and Firefox's Fluent messages. All are free software;
operators/models/LICENSE.md names licences and the versions that the shipped model was trained on,
which the script prints. Training runs in one thread, so that the same packages give the same model.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import fasttext

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from operators.language import OWN
from operators.scripts import letters_only

PACKAGES = """
    aisleriot brasero-common eog epiphany-browser-data evince-common evolution-common
    file-roller freeciv-data gdebi-core gdm3 gedit-common gimp-data gnome-applets-data
    gnome-calculator gnome-control-center-data gnome-desktop3-data gnome-mahjongg gnome-mines
    gnome-panel-data gnome-session-common gnome-shell-common gnome-sudoku gnome-terminal-data
    gnumeric-common gucharmap iso-codes libglib2.0-data libgtk-3-common libgtk2.0-common
    mediawiki metacity-common nautilus-data pidgin-data quadrapassel rhythmbox-data seahorse
    synaptic totem-common vlc-l10n yelp zenity-common
""".split()
FAMILIES = "^(firefox-esr|libreoffice)-l10n-"
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
LITTLE_ENDIAN_CATALOGUE = b"\xde\x12\x04\x95"

Texts = dict[str, dict[str, set[str]]]  # language, source, texts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, default=OWN)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found = texts(packages(options.folder))
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
            thread=1,
            verbose=0,
        )
        model.quantize(file.name, cutoff=80_000, verbose=0)
    model.save_model(str(options.out))
    size = options.out.stat().st_size
    sys.stdout.write(f"{len(model.get_labels())} languages, {size:,} bytes\n")
    return 0


def packages(folder: Path) -> list[Path]:
    """The packages' files, fetched where they are not in the folder."""
    search = ["apt-cache", "search", "--names-only", FAMILIES]
    known = subprocess.run(search, check=True, capture_output=True, text=True).stdout
    found = {line.split()[0] for line in known.splitlines()}
    # apt also lists what stands in for a name, such as libreoffice-common.
    names = {*PACKAGES, *(name for name in found if re.match(FAMILIES, name))}
    have = {path.name.partition("_")[0] for path in folder.glob("*.deb")}
    missing = sorted(names - have)
    if missing:
        subprocess.run(["apt-get", "download", *missing], check=True, cwd=folder)
    return [path for name in sorted(names) for path in folder.glob(f"{name}_*.deb")]


def texts(files: list[Path]) -> Texts:
    """Translations by language and source; untranslated ones are left out."""
    found: Texts = defaultdict(lambda: defaultdict(set))
    for file in files:
        count = 0
        for tag, source, text in _translations(file):
            code = language(tag)
            if code in LANGUAGES:
                found[code][source].add(text)
                count += 1
        if count:
            sys.stdout.write(f"{file.stem}: {count} messages\n")
    for sources in found.values():
        for source in sources:
            sources[source] = {plain(text) for text in sources[source]}
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


def _translations(package: Path) -> Iterator[tuple[str, str, str]]:
    """Locale, source and text of all messages in a package."""
    command = ["dpkg-deb", "--fsys-tarfile", str(package)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as unpacking,
        tarfile.open(fileobj=unpacking.stdout, mode="r|") as files,
    ):
        for member in files:
            reader = _reader(PurePosixPath(member.name))
            if reader and member.isfile() and (file := files.extractfile(member)):
                source, tag, messages = reader
                for text in messages(file.read()):
                    yield tag, source, text
    if unpacking.returncode:
        raise SystemExit(f"{package}: dpkg-deb cannot read it")


def _reader(path: PurePosixPath) -> tuple[str, str, Callable[[bytes], Iterator[str]]] | None:
    """Source and locale of a file, and what finds its texts; None for a file without any."""
    if path.suffix == ".mo" and path.parent.name == "LC_MESSAGES":
        source = "libreoffice" if "libreoffice" in path.parts else "gettext"
        return source, path.parts[-3], _catalogue
    if path.suffix == ".json" and {"mediawiki", "i18n"} <= set(path.parts):
        return "mediawiki", path.stem, _json
    if path.suffix == ".xpi":
        return "firefox", path.name.removeprefix("langpack-").partition("@")[0], _language_pack
    return None


def _json(data: bytes) -> Iterator[str]:
    for key, text in json.loads(data).items():
        if isinstance(text, str) and not key.startswith("@"):
            yield text


def _language_pack(data: bytes) -> Iterator[str]:
    with zipfile.ZipFile(io.BytesIO(data)) as pack:
        for name in pack.namelist():
            if name.endswith(".ftl"):
                for line in pack.read(name).decode("utf-8").splitlines():
                    if match := FLUENT.match(line):
                        yield match[1]


def _catalogue(data: bytes) -> Iterator[str]:
    """Translations in a compiled catalogue (.mo) of gettext, each form of a plural for itself."""
    if not data.startswith(LITTLE_ENDIAN_CATALOGUE):
        return
    count, sources, translations = struct.unpack_from("<8x3I", data)
    for number in range(count):
        source, text = (
            data[start : start + size].decode("utf-8", "ignore")
            for size, start in (
                struct.unpack_from("<2I", data, table + 8 * number)
                for table in (sources, translations)
            )
        )
        untranslated = source.rpartition("\4")[2].split("\0")  # behind the context
        if source:
            yield from (form for form in text.split("\0") if form not in untranslated)


def plain(text: str) -> str:
    """Words as the classifier sees them: lower case, letters, marks and apostrophes only."""
    for pattern, instead in MARKUP:
        text = pattern.sub(instead, text)
    return letters_only(text)


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
