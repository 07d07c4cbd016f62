"""Build the bundled sample: real documentation pages and their pictures as small WARC files.

The pages come from Debian documentation packages under free licences (see LICENSES.md).
The same packages give byte-identical files. On a Debian 12 system:

    python jobs/sample/build_sample.py WORK_FOLDER [OUT_FOLDER]
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urljoin
from uuid import NAMESPACE_URL, uuid5

START = datetime(2024, 3, 4, 8, 0, 0, tzinfo=UTC)
STEP = timedelta(seconds=37)
RECRAWL = timedelta(days=41)
MAX_IMAGE = 150_000
PAGE_IMAGE_BUDGET = 150_000
IMAGE_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".gif": "image/gif"}
IMG_SRC = re.compile(r"""<img\b[^>]*?\ssrc\s*=\s*["']([^"']+)["']""", re.IGNORECASE)
PARAGRAPH = re.compile(r"<p\b[^>]*>.*?</p>", re.DOTALL)
XML_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>\s*")
META_CHARSET = re.compile(r"<meta\b[^>]*charset=[^>]*>", re.IGNORECASE)
HTML_UTF8 = "text/html; charset=UTF-8"
NOT_FOUND = b"<html><head><title>404 Not Found</title></head><body><h1>Not Found</h1></body></html>"

VERSIONS = {
    "aptitude-doc-en": "0.8.13-5",
    "debian-handbook": "11.20220922",
    "freedombox-doc-en": "23.6.2+deb12u2",
    "freedombox-doc-es": "23.6.2+deb12u2",
    "gimp-help-de": "2.10.34-2",
    "gimp-help-en": "2.10.34-2",
    "gimp-help-es": "2.10.34-2",
    "gimp-help-fr": "2.10.34-2",
    "gimp-help-it": "2.10.34-2",
    "gimp-help-ja": "2.10.34-2",
    "gimp-help-ko": "2.10.34-2",
    "gimp-help-ru": "2.10.34-2",
    "gimp-help-zh-cn": "2.10.34-2",
    "gnucash-docs": "4.13-1",
    "hugin-data": "2022.0.0+dfsg-2",
    "kicad-doc-en": "6.0.11+dfsg-1",
    "kicad-doc-ja": "6.0.11+dfsg-1",
    "kicad-doc-zh": "6.0.11+dfsg-1",
    "omegat": "3.6.0.10+dfsg-3",
}


@dataclass(frozen=True)
class Site:
    """One folder of a package and the web address its pages are published under."""

    package: str
    folder: str
    url: str  # "{page}" is the file name without its suffix
    suffix: str = ".html"


@dataclass(frozen=True)
class Page:
    package: str
    path: Path
    url: str

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")


def gimp(package: str, lang: str) -> Site:
    url = f"https://docs.gimp.org/2.10/{lang}/{{page}}.html"
    return Site(f"gimp-help-{package}", f"usr/share/gimp/2.0/help/{lang}", url)


def handbook(locale: str) -> Site:
    url = f"https://debian-handbook.info/browse/{locale}/stable/{{page}}.html"
    return Site("debian-handbook", f"usr/share/doc/debian-handbook/html/{locale}", url)


def gnucash(lang: str) -> Site:
    home = "C" if lang == "en" else lang
    url = f"https://www.gnucash.org/docs/v4/{home}/gnucash-guide/{{page}}.html"
    return Site("gnucash-docs", f"usr/share/doc/gnucash-docs/gnucash-guide-{lang}", url)


def kicad(lang: str) -> Site:
    url = f"https://docs.kicad.org/6.0/{lang}/{{page}}/{{page}}.html"
    return Site(f"kicad-doc-{lang}", f"usr/share/doc/kicad/help/{lang}", url)


def omegat(lang: str) -> Site:
    url = f"https://omegat.sourceforge.io/manual-standard/{lang}/{{page}}.html"
    return Site("omegat", f"usr/share/doc/omegat/html/{lang}", url)


def freedombox(lang: str) -> Site:
    prefix = "" if lang == "en" else f"{lang}/"
    url = f"https://wiki.debian.org/{prefix}FreedomBox/Manual/{{page}}"
    folder = f"usr/share/freedombox/manual/{lang}"
    return Site(f"freedombox-doc-{lang}", folder, url, ".part.html")


HUGIN = Site(
    "hugin-data",
    "usr/share/hugin/xrc/data/help_en_EN",
    "https://hugin.sourceforge.io/docs/manual/{page}.html",
)
APTITUDE = Site(
    "aptitude-doc-en",
    "usr/share/doc/aptitude/html/en",
    "https://www.debian.org/doc/manuals/aptitude/{page}.en.html",
)

# The pages of each file, in crawl order. Tables of contents, indexes and very short pages stand
# last in a list: quality rules are expected to drop them.
PAGES: dict[str, list[tuple[Site, str]]] = {
    "sample-en": [
        (
            gimp("en", "en"),
            "gimp-tool-text gimp-concepts-docks gimp-file-new gimp-image-precision"
            " gimp-layer-groups gimp-painting gimp-tool-path gimp-concepts-brushes"
            " gimp-filter-unsharp-mask gimp-using-animated-brushes"
            " gimp-imaging-color-management index gimp-file-save",
        ),
        (
            handbook("en-US"),
            "sect.apparmor sect.release-lifecycle sect.remote-login unix-services",
        ),
        (
            HUGIN,
            "Chromatic_aberration The_General_Panini_Projection Panorama_formats"
            " Dust_Removal_with_Flatfield Parallax",
        ),
        (gnucash("en"), "bus_ap basics-running-gnucash chapter_accts basics-together1 index"),
        (kicad("en"), "pl_editor pcb_calculator"),
        (APTITUDE, "ch01s01s04 ch02s03s03"),
        (freedombox("en"), "Radicale ejabberd OpenVPN"),
        (omegat("en"), "chapter.user.interface chapter.glossaries ix01"),
    ],
    "sample-zh": [
        (
            handbook("zh-CN"),
            "sect.virtualization sect.selinux sect.release-lifecycle sect.remote-login"
            " network-services sect.how-to-migrate sect.package-meta-information"
            " sect.foundation-documents sect.network-config sect.installation-steps index",
        ),
        (
            omegat("zh_CN"),
            "chapter.user.interface appendix.TeamProjects chapter.glossaries"
            " chapter.formatted.text chapter.machine.translate chapter.searches"
            " chapter.spellchecker chapter.project.properties chapter.instant.start.guide"
            " appendix.ScriptingPlugin.inOmegaT",
        ),
        (kicad("zh"), "pl_editor pcb_calculator kicad gerbview"),
        (
            gimp("zh-cn", "zh_CN"),
            "gimp-introduction-history-2-0 gimp-introduction-history-2-4"
            " gimp-introduction-history-2-6 gimp-concepts-palettes menus",
        ),
    ],
    "sample-world": [
        (
            gimp("ja", "ja"),
            "plug-in-ifscompose gimp-pattern-dialog gimp-concepts-palettes plug-in-nlfilt",
        ),
        (gnucash("ja"), "txns-reconcile1 invest-stockprice1"),
        (kicad("ja"), "pl_editor"),
        (handbook("ja-JP"), "sect.how-to-migrate"),
        (
            gimp("de", "de"),
            "gimp-layer-groups plug-in-ifscompose gimp-dialogs-content gimp-images-in",
        ),
        (handbook("de-DE"), "sect.release-lifecycle sect.installation-steps"),
        (gnucash("de"), "txns-reconcile1 basics-together1"),
        (
            gimp("fr", "fr"),
            "gimp-file-new gimp-indexed-palette-dialog plug-in-gfig gimp-function-reference",
        ),
        (handbook("fr-FR"), "sect.selinux existing-setup"),
        (omegat("fr"), "chapter.glossaries appendix.TeamProjects"),
        (
            gimp("es", "es"),
            "gimp-image-text-management gimp-tool-path gimp-concepts-gradients bibliography",
        ),
        (handbook("es-ES"), "sect.remote-login"),
        (freedombox("es"), "Radicale ejabberd"),
        (
            gimp("ru", "ru"),
            "gimp-histogram-dialog gimp-concepts-brushes gimp-images-in"
            " gimp-imaging-color-management",
        ),
        (omegat("ru"), "chapter.user.interface chapter.spellchecker"),
        (handbook("ru-RU"), "sect.release-lifecycle"),
        (gimp("it", "it"), "gimp-dialogs-management gimp-image-combining"),
        (gnucash("it"), "txns-reconcile1 bus_ap"),
        (gimp("ko", "ko"), "gimp-using-setup-tile-cache gimp-introduction-history-2-4"),
        (omegat("ko"), "instantStartGuideNoTOC"),
        (gnucash("pt"), "basics-interface1 txns-register-oview"),
        (omegat("pl"), "userInterface glossaries"),
        # Half translated: much of the text is still English.
        (gimp("ko", "ko"), "gimp-image-combining"),
        (handbook("ar-MA"), "existing-setup"),
    ],
}


@dataclass
class Archive:
    """The records of one WARC file, each its own gzip member."""

    name: str
    members: list[bytes] = field(default_factory=list)
    occurrences: Counter[str] = field(default_factory=Counter)

    def add(
        self, kind: str, url: str, content_type: str, block: bytes, *, late: bool = False
    ) -> None:
        key = f"{self.name}/{kind}/{url}"
        self.occurrences[key] += 1
        when = START + STEP * len(self.members) + (RECRAWL if late else timedelta())
        record_id = uuid5(NAMESPACE_URL, f"{key}#{self.occurrences[key]}")
        digest = base64.b32encode(hashlib.sha1(block, usedforsecurity=False).digest()).decode()
        headers = {
            "WARC-Type": kind,
            "WARC-Record-ID": f"<urn:uuid:{record_id}>",
            "WARC-Date": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "WARC-Target-URI": url,
            "WARC-Block-Digest": f"sha1:{digest}",
            "Content-Type": content_type,
            "Content-Length": str(len(block)),
        }
        if kind == "warcinfo":
            del headers["WARC-Target-URI"]
            headers["WARC-Filename"] = url
        head = "WARC/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        record = head.encode() + b"\r\n" + block + b"\r\n\r\n"
        self.members.append(gzip.compress(record, 9, mtime=0))

    def info(self) -> None:
        fields = "software: build_sample.py\r\nformat: WARC File Format 1.0\r\n"
        self.add("warcinfo", f"{self.name}.warc.gz", "application/warc-fields", fields.encode())

    def response(
        self,
        url: str,
        body: bytes,
        content_type: str,
        *,
        status: str = "200 OK",
        extra: dict[str, str] | None = None,
        late: bool = False,
    ) -> None:
        headers = {
            "Content-Type": content_type,
            "Content-Length": str(len(body)),
            **(extra or {}),
        }
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
        block = "\r\n".join([*lines, "", ""]).encode() + body
        self.add("response", url, "application/http; msgtype=response", block, late=late)


class Sample:
    """Collects pages and their pictures, and counts what is taken from each package."""

    def __init__(self, unpacked: Path) -> None:
        self.unpacked = unpacked
        self.images: set[str] = set()
        self.counts: Counter[tuple[str, str]] = Counter()

    def page(self, site: Site, name: str) -> Page:
        path = self.unpacked / site.package / site.folder / f"{name}{site.suffix}"
        return Page(site.package, path, site.url.format(page=name))

    def add_page(self, archive: Archive, page: Page) -> None:
        archive.response(page.url, page.path.read_bytes(), HTML_UTF8)
        self.counts[page.package, "pages"] += 1
        self.add_images(archive, page)

    def add_images(self, archive: Archive, page: Page) -> None:
        spent = 0
        for url, path in page_images(page):
            size = path.stat().st_size
            if url in self.images or size > MAX_IMAGE or spent + size > PAGE_IMAGE_BUDGET:
                continue
            spent += size
            self.images.add(url)
            archive.response(url, path.read_bytes(), IMAGE_TYPES[path.suffix])
            self.counts[page.package, "images"] += 1


def page_images(page: Page) -> Iterator[tuple[str, Path]]:
    for source in IMG_SRC.findall(page.text):
        path = page.path.parent / unquote(unescape(source))
        if path.suffix in IMAGE_TYPES and path.is_file():
            yield urljoin(page.url, unescape(source)), path


def fetch(work: Path) -> Path:
    """Download and unpack the packages that are not there yet."""
    debs, unpacked = work / "deb", work / "unpacked"
    debs.mkdir(parents=True, exist_ok=True)
    for package, version in VERSIONS.items():
        deb = debs / f"{package}_{version}_all.deb"
        if not deb.exists():
            subprocess.run(
                ["apt-get", "download", "-qq", f"{package}={version}"], cwd=debs, check=True
            )
        folder = unpacked / package
        if not folder.exists():
            folder.mkdir(parents=True)
            subprocess.run(["dpkg", "-x", str(deb), str(folder)], check=True)
    return unpacked


def without_longest_paragraph(text: str) -> str:
    longest = max(PARAGRAPH.findall(text), key=len)
    return text.replace(longest, "", 1)


def with_footer(text: str, line: str) -> str:
    return f"<p>{line}</p></body>".join(text.rsplit("</body>", 1))


def without_charset(text: str) -> str:
    return META_CHARSET.sub("", XML_PROLOG.sub("", text), count=1)


def add_recaptures(sample: Sample, archives: dict[str, Archive]) -> None:
    """Later captures of pages already taken, each with a small edit; one under a tracking URL."""

    def again(name: str, site: Site, stem: str, text: str) -> None:
        page = sample.page(site, stem)
        archives[name].response(page.url, text.encode(), HTML_UTF8, late=True)
        sample.counts[page.package, "pages"] += 1

    site, stem = gimp("en", "en"), "gimp-layer-groups"
    again("sample-en", site, stem, without_longest_paragraph(sample.page(site, stem).text))
    site, stem = gnucash("en"), "bus_ap"
    text = with_footer(sample.page(site, stem).text, "This page was last changed in April 2024.")
    again("sample-en", site, stem, text)
    site, stem = omegat("zh_CN"), "chapter.glossaries"
    again("sample-zh", site, stem, without_longest_paragraph(sample.page(site, stem).text))
    site, stem = handbook("zh-CN"), "sect.foundation-documents"
    text = with_footer(sample.page(site, stem).text, "本页更新于2024年4月。")
    again("sample-zh", site, stem, text)
    site, stem = gimp("fr", "fr"), "plug-in-gfig"
    again("sample-world", site, stem, without_longest_paragraph(sample.page(site, stem).text))

    page = sample.page(HUGIN, "Panorama_formats")
    url = f"{page.url}?utm_source=newsletter&utm_medium=email"
    archives["sample-en"].response(url, page.path.read_bytes(), HTML_UTF8, late=True)
    sample.counts[page.package, "pages"] += 1


def edge_archive(sample: Sample) -> Archive:
    """Charset variants, HTTP oddities, broken bodies, and a last record cut off."""
    archive = Archive("sample-edge")
    archive.info()

    def take(site: Site, stem: str) -> Page:
        page = sample.page(site, stem)
        sample.counts[page.package, "pages"] += 1
        return page

    page = take(gimp("ru", "ru"), "gimp-concepts-gradients")
    fields = f"GET {page.url} HTTP/1.1\r\nHost: docs.gimp.org\r\nAccept: text/html\r\n\r\n"
    archive.add("request", page.url, "application/http; msgtype=request", fields.encode())
    body = without_charset(page.text).encode("cp1251", "xmlcharrefreplace")
    archive.response(page.url, body, "text/html; charset=windows-1251")
    archive.add(
        "metadata", page.url, "application/warc-fields", b"fetchTimeMs: 412\r\nvia: seed\r\n"
    )
    sample.add_images(archive, page)

    page = take(omegat("zh_CN"), "chapter.translation.editing")
    text = without_charset(page.text).replace("<head>", "<head><meta charset=gb18030>", 1)
    archive.response(page.url, text.encode("gb18030"), "text/html")
    sample.add_images(archive, page)

    page = take(gnucash("ja"), "basics-together1")  # no charset declared anywhere
    body = without_charset(page.text).encode("euc_jp", "xmlcharrefreplace")
    archive.response(page.url, body, "text/html")
    sample.add_images(archive, page)

    page = take(gimp("fr", "fr"), "gimp-tools-selection")  # header and meta disagree
    body = page.text.encode("latin-1", "xmlcharrefreplace")
    archive.response(page.url, body, "text/html; charset=ISO-8859-1")
    sample.add_images(archive, page)

    page = take(gimp("en", "en"), "gimp-tool-crop")
    extra = {"Content-Encoding": "gzip"}
    archive.response(
        page.url, gzip.compress(page.path.read_bytes(), 9, mtime=0), HTML_UTF8, extra=extra
    )
    sample.add_images(archive, page)

    page = take(gimp("en", "en"), "gimp-tool-move")
    whole = gzip.compress(page.path.read_bytes(), 9, mtime=0)
    archive.response(page.url, whole[:900] + b"\xff\x00garbage" * 40, HTML_UTF8, extra=extra)

    page = take(handbook("en-US"), "sect.how-to-migrate")
    body = page.path.read_bytes()
    archive.response(page.url, body[: body.index(b"<img", len(body) // 2) + 9], HTML_UTF8)
    sample.add_images(archive, page)

    archive.response(
        "https://docs.gimp.org/2.10/en/no-such-page.html",
        NOT_FOUND,
        HTML_UTF8,
        status="404 Not Found",
    )
    archive.response(
        "http://docs.gimp.org/2.10/en/gimp-tool-text.html",
        b"",
        "text/html",
        status="301 Moved Permanently",
        extra={"Location": "https://docs.gimp.org/2.10/en/gimp-tool-text.html"},
    )
    archive.response("https://hugin.sourceforge.io/docs/manual/empty.html", b"", HTML_UTF8)

    css = sample.page(HUGIN, "Parallax").path.parent / "manual.css"
    archive.response(
        "https://hugin.sourceforge.io/docs/manual/manual.css", css.read_bytes(), "text/css"
    )

    # A page whose picture is cut off, and one whose picture is answered by an error page.
    page = take(gimp("en", "en"), "gimp-concepts-gradients")
    archive.response(page.url, page.path.read_bytes(), HTML_UTF8)
    (cut_url, cut), (lost_url, _) = sorted(
        set(page_images(page)), key=lambda item: -item[1].stat().st_size
    )[:2]
    sample.images |= {cut_url, lost_url}
    content = cut.read_bytes()
    archive.response(cut_url, content[: len(content) // 3], IMAGE_TYPES[cut.suffix])
    sample.counts[page.package, "images"] += 1
    archive.response(lost_url, NOT_FOUND, HTML_UTF8, status="404 Not Found")
    sample.add_images(archive, page)

    page = take(gimp("en", "en"), "gimp-concepts-palettes")
    archive.response(page.url, page.path.read_bytes(), HTML_UTF8)
    archive.members[-1] = archive.members[-1][: len(archive.members[-1]) // 2]
    return archive


def build(unpacked: Path, out: Path) -> str:
    sample = Sample(unpacked)
    archives: dict[str, Archive] = {}
    for name, sites in PAGES.items():
        archive = archives[name] = Archive(name)
        archive.info()
        for site, stems in sites:
            for stem in stems.split():
                sample.add_page(archive, sample.page(site, stem))
    add_recaptures(sample, archives)
    archives["sample-edge"] = edge_archive(sample)

    lines = []
    for name, archive in archives.items():
        data = b"".join(archive.members)
        (out / f"{name}.warc.gz").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()[:16]
        lines.append(f"{name}.warc.gz\t{len(archive.members)} records\t{len(data)} bytes\t{digest}")
    for package in VERSIONS:
        pages, images = sample.counts[package, "pages"], sample.counts[package, "images"]
        lines.append(f"{package}\t{pages} pages\t{images} images")
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    if len(arguments) not in (1, 2):
        sys.stderr.write("usage: build_sample.py WORK_FOLDER [OUT_FOLDER]\n")
        return 2
    out = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).resolve().parent
    out.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(build(fetch(Path(arguments[0]).resolve()), out))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
