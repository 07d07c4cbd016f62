"""Images of a page: the address to fetch each from, what it is for, and what is measured of it.

Pages name an image in many ways: `src`, `srcset`, the `<source>`s of a `<picture>`, attributes that
a script reads when the image scrolls into view, or a copy inside `<noscript>`. Which of them is
taken depends on these forms alone, never on the site.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import unquote, urljoin, urlsplit

import numpy as np

from operators.block_features import (
    ANCESTOR_BIT,
    Array,
    BlockFeatures,
    FeatureTable,
    Floats,
    KeyScores,
    key_words,
    running,
)
from operators.dom import Image

Attributes = dict[str, str | None]

_PICTURE_FILE = re.compile(r"\.(?:jpe?g|jfif|png|webp|gif|avif|bmp|tiff?|svg)\b", re.I)
# Attributes in which lazy loaders keep the real address; their `src` is only a stand-in.
_LOADER = re.compile(r"(?:data-)?(?:lazy-?|lazyimage-|lazyload-)?(?:src|original|lazy|lazyload)")
_MAYBE_ADDRESS = re.compile(r"src|original|lazy|image|img|hi-?res|orig|full|file|large|url|poster")
_OTHER_ADDRESS = re.compile(
    r"link|href|page|alt|title|caption|json|placeholder|thumb|low|blur|ratio|meta|class|style"
)
_NEVER_LOADED = frozenset("src alt class width height loading srcset sizes title decoding".split())
_PLAIN_ATTRIBUTES = frozenset(("src", "srcset", "usemap", "longdesc", "id"))
_STAND_IN = re.compile(
    r"(?:^|[/_.-])(?:blank|spacer|space|placeholder|lazy|lazyload|loading|loader|transparent|trans"
    r"|clear|pixel|dot|empty|grey|gray|white|fallback|1x1|1px|s)(?:[_-]\w{0,12})?\.(?:gif|png|svg)$",
    re.I,
)
_PLAIN_ADDRESS = re.compile(r"https?://[\w.-]+(?::\d+)?/[!-~]*\Z")  # needs no resolving
_ADDRESS_SIGN = re.compile(r"[/.]")
_UNSAFE = re.compile(r"[\s{}<>\"]")
_SRCSET_ITEM = re.compile(r"[\s,]*(\S+?)(?:,(?=\s|$)|\s+([^,]*)(?:,|$)|$)")
_DESCRIPTOR = re.compile(r"(\d{1,7}+(?:\.\d{1,7}+)?)([wx])")
_MAX_ATTRIBUTE = 20_000
_MAX_LINK = 4_000
_LEAST_EMBEDDED, _MOST_EMBEDDED = 4_000, 1_000_000
_NARROW = 400  # a `src` known to be narrower gives way to a wider candidate of its srcset


def parse_srcset(value: str) -> Iterator[tuple[str, float]]:
    """Addresses of a srcset with their width, or density times 1000 (HTML standard, 4.8.4.2.1).

    An address may hold commas: only one before white space, or after a descriptor, parts two.
    """
    # Without white space at the end the pattern matches wherever it is tried: no searching twice.
    for found in _SRCSET_ITEM.finditer(value[:_MAX_ATTRIBUTE].rstrip()):
        address, descriptor = found.group(1).rstrip(","), found.group(2) or ""
        size = _DESCRIPTOR.search(descriptor)
        number = float(size.group(1)) if size else 1.0
        yield address, number if size and size.group(2) == "w" else number * 1000


def _usable(address: str | None) -> str | None:
    """The address, trimmed; None for what no picture can stand behind."""
    text = (address or "").strip()
    if not 0 < len(text) <= _MAX_ATTRIBUTE or text.startswith(
        ("#", "about:", "javascript:", "blob:", "data:", "{", "[")
    ):
        return None
    return None if _STAND_IN.search(text.partition("?")[0].partition("#")[0]) else text


def address_of(image: Image) -> str | None:
    """The address of the image as the page writes it; None when only a stand-in is there.

    A lazy loader's attribute comes before `src`; `src` before the candidates of `srcset`, unless
    it is known to be narrow; then other attributes that look like an address, widest first.
    """
    own = image.attributes
    for name, value in own.items():
        if (
            name != "src"
            and value
            and _LOADER.fullmatch(name)
            and not _UNSAFE.search(value.strip())
        ):
            found = _usable(value)
            if found and _ADDRESS_SIGN.search(found):  # lazy="loaded" is no address
                return found
    source = _usable(own.get("src"))
    wide = [item for item in parse_srcset(own.get("srcset") or "") if _usable(item[0])]
    if source and dict(wide).get(source, _NARROW) >= _NARROW:
        return source
    elsewhere = [item for source_ in image.sources for item in _candidates(source_)]
    for group in (wide, list(_lazy_candidates(own)), elsewhere):
        usable = [item for item in group if _usable(item[0])]
        if usable:
            return max(usable, key=lambda item: item[1])[0].strip()
    return source or _embedded(own.get("src"))


def _embedded(source: str | None) -> str | None:
    """A picture that the page carries in the address itself, too large to be a stand-in."""
    found = (source or "").strip()
    size = len(found)
    embedded = found.startswith("data:image/") and _LEAST_EMBEDDED <= size <= _MOST_EMBEDDED
    return found if embedded else None


def _candidates(attributes: Attributes) -> Iterator[tuple[str, float]]:
    yield from parse_srcset(attributes.get("srcset") or "")
    yield from _lazy_candidates(attributes)


def _lazy_candidates(attributes: Attributes) -> Iterator[tuple[str, float]]:
    """Addresses in attributes of the page's own making, with their width where one is stated."""
    for name, value in attributes.items():
        if not value or name in _PLAIN_ATTRIBUTES:
            continue
        if not _MAYBE_ADDRESS.search(name) or _OTHER_ADDRESS.search(name):
            continue
        if name.endswith(("srcset", "srcs")):
            yield from parse_srcset(value)
        elif not _UNSAFE.search(value.strip()) and (
            _PICTURE_FILE.search(value) or value.startswith(("http", "//", "/"))
        ):
            yield value, 0.0


def absolute(address: str, base: str) -> str | None:
    """The address resolved against the page's base: http(s), or an embedded picture; else None.

    Without a base, an address relative to the page stays as the page writes it.
    """
    if address.startswith("data:") or _PLAIN_ADDRESS.match(address):
        return address
    try:
        url = urljoin(base, address)
        scheme, host = urlsplit(url)[:2]
    except ValueError:
        return None
    if scheme in ("http", "https") and host:
        return scheme + url[len(scheme) :]
    return None if scheme or base or not url else url


# What an image outside the main content is for, by words of its own markup and address. The first
# that fits is the reason it is left out.
_ROLES: tuple[tuple[str, frozenset[str]], ...] = (
    ("tracker", frozenset("pixel tracking beacon counter analytics stat stats imp webbug".split())),
    ("spacer", frozenset("spacer blank transparent clear clearpixel shim".split())),
    (
        "advertisement",
        frozenset(
            "ad ads adv advert advertisement adserver sponsor sponsored banner"
            " promo affiliate".split()
        ),
    ),
    ("avatar", frozenset("avatar gravatar userpic profile author byline headshot bio".split())),
    ("logo", frozenset("logo logos brand branding wordmark masthead".split())),
    (
        "icon",
        frozenset(
            "icon icons ico emoji emoticon smiley smilies smilie sprite button btn bullet arrow"
            " arrows share social rss badge flag flags rating star stars"
            " print caret chevron search menu close".split()
        ),
    ),
    (
        "thumbnail",
        frozenset("thumb thumbs thumbnail thumbnails teaser related recommended".split()),
    ),
)
ROLES = (*(name for name, _ in _ROLES), "navigation", "formula")
# Buttons to turn pages, by the whole name of the file: documentation has them on every page.
_PAGE_TURNERS = frozenset("prev previous next nav navprev navnext".split())
_ROLE_OF = {
    word: index for index, (_, words) in reversed(list(enumerate(_ROLES))) for word in words
}
_SHOWN_ROLES = 2  # the first two, tracker and spacer, take more than a word of the address
_PATH_WORD = re.compile(r"[a-z]+")
_STYLE_SIZE = re.compile(r"(?<![-\w])(width|height)\s*:\s*(\d{1,5})(?:\.\d+)?px", re.I)
_ADDRESS_SIZE = re.compile(r"(?<![\d.])(\d{2,4})[xX](\d{2,4})(?!\d)")
_ADDRESS_WIDTH = re.compile(r"[?&,/_](?:w|width|resize)[=_](\d{2,4})", re.I)


def declared_size(attributes: Attributes, address: str) -> tuple[int, int]:
    """Width and height in CSS pixels as the markup or the address states them; 0 where unknown."""
    sizes = {"width": 0, "height": 0}
    for name in sizes:
        digits = re.match(r"\s*(\d{1,5}+)(?:\.\d*+)?+(?!\s*%)", attributes.get(name) or "")
        if digits:
            sizes[name] = int(digits.group(1))
    for name, value in _STYLE_SIZE.findall(attributes.get("style") or ""):
        sizes[name.lower()] = int(value)
    if not sizes["width"]:
        both, width = _ADDRESS_SIZE.search(address), _ADDRESS_WIDTH.search(address)
        if both:
            sizes = {"width": int(both.group(1)), "height": int(both.group(2))}
        elif width:
            sizes["width"] = int(width.group(1))
    return sizes["width"], sizes["height"]


@dataclass(frozen=True)
class PageImage:
    """An image with an address: its mark-up, URL, link target, declared size and apparent role."""

    image: Image
    url: str
    link: str | None
    width: int
    height: int
    role: str | None


_BLOCKS_BEFORE, _BLOCKS_AFTER = 40, 15


def images_near(images: Sequence[Image], kept: Array) -> list[Image]:
    """The images around the kept blocks; `kept` is (N,) bool. Others are never content.

    A lead image may stand well before the text, with bylines and buttons between; what follows the
    text closely is seldom part of it.
    """
    blocks = np.flatnonzero(kept)
    if not len(blocks):
        return []
    low, high = int(blocks[0]) - _BLOCKS_BEFORE, int(blocks[-1]) + _BLOCKS_AFTER
    return [image for image in images if low <= image.block <= high]


def page_images(images: Sequence[Image], base: str) -> list[PageImage]:
    """Images with an address, in document order; of several with one address, the first."""
    found: dict[str, PageImage] = {}
    for image in images:
        address = address_of(image)
        url = absolute(address, base) if address else None
        if url and url not in found:
            width, height = declared_size(image.attributes, url)
            target = image.link or ""
            link = absolute(target, base) if 0 < len(target) <= _MAX_LINK else None
            role = role_of(image, url, width, height)
            found[url] = PageImage(image, url, link, width, height, role)
    return list(found.values())


def role_of(image: Image, url: str, width: int, height: int) -> str | None:
    """What the image is for when it is no content: one of ROLES; None when nothing says so."""
    if image.formula:
        return "formula"
    if 0 < width <= 3 or 0 < height <= 3:
        return "tracker"
    attributes = image.attributes
    names = f"{attributes.get('class') or ''} {attributes.get('id') or ''}"
    path = unquote(url.partition("?")[0].partition("#")[0].partition("://")[2].partition("/")[2])
    marked = key_words(names)
    words = marked | set(_PATH_WORD.findall(path[-200:].lower()))
    stem = path.rpartition("/")[2].partition(".")[0].lower()
    if stem in _PAGE_TURNERS:
        return "navigation"
    roles = [
        _ROLE_OF[word]
        for word in words
        if word in _ROLE_OF
        # A pixel or a clear sky may be what the picture shows.
        and (_ROLE_OF[word] >= _SHOWN_ROLES or word in marked or word == stem)
    ]
    if roles:
        return ROLES[min(roles)]
    if 0 < width <= 48 and 0 < height <= 48:
        return "icon"
    return None


_FLAGS = "article main aside li figure section header form".split()


def image_features(
    page: BlockFeatures, probability: Floats, cut: float, keys: KeyScores, images: list[PageImage]
) -> FeatureTable:
    """What is measured of each image, given the blocks' probabilities of being main content.

    Args:
        page: the page's blocks, at least one.
        probability: of each block; (N,).
        cut: probability from which blocks are kept.
        keys: of the page's containers.
        images: the page's images, M of them.
    """
    table = FeatureTable(len(images))
    add = table.add
    weight = page.weight
    masses, weights = running(weight * probability), running(weight)
    kept_sums = running(np.where(probability >= cut, weight, 0.0))
    place = np.array([item.image.block for item in images])
    container = np.array([item.image.container for item in images])
    after = np.minimum(place, page.size - 1)
    before = np.maximum(place - 1, 0)
    add("before", np.where(place > 0, probability[before], 0))
    add("after", np.where(place < page.size, probability[after], 0))
    for reach in (2, 5, 15):
        low, high = np.maximum(place - reach, 0), np.minimum(place + reach, page.size)
        add(
            f"near{reach}_before",
            (masses[place] - masses[low]) / np.maximum(weights[place] - weights[low], 1),
        )
        add(
            f"near{reach}_after",
            (masses[high] - masses[place]) / np.maximum(weights[high] - weights[place], 1),
        )
    add("kept_before", kept_sums[place] / max(kept_sums[-1], 1))
    kept = np.flatnonzero(probability >= cut)
    add("from_first", np.clip(place - kept[0], -30, 30))
    add("from_last", np.clip(place - kept[-1], -30, 30))
    following = np.searchsorted(kept, place)
    back = np.abs(place - kept[np.maximum(following - 1, 0)])
    on = np.abs(kept[np.minimum(following, len(kept) - 1)] - place)
    add("to_kept", np.minimum(np.minimum(back, on), 30))
    level = container
    counts = np.bincount(container, minlength=len(page.parent))
    shown = running(counts)
    for number in range(5):
        inside = page.within(masses, level)
        add(f"above{number}", inside / np.maximum(page.within(weights, level), 1))
        add(f"above{number}_share", inside / max(masses[-1], 1e-6))
        add(f"above{number}_tokens", np.log1p(page.within(weights, level)))
        add(f"above{number}_images", np.log1p(shown[page.end[level]] - shown[level]))
        level = page.parent[level]
    add("keys_own", keys.own[container])
    add("keys_parent", keys.own[page.parent[container]])
    add("keys_all", keys.total[container])
    add("keys_least", keys.least[container])
    add("keys_most", keys.most[container])
    above = page.ancestors[container]
    for name in _FLAGS:
        add(f"in_{name}", (above & ANCESTOR_BIT[name]) != 0)
    add("width", [item.width for item in images])
    add("height", [item.height for item in images])
    add("ratio", [item.width / item.height if item.height else 0 for item in images])
    add("role", [ROLES.index(item.role) if item.role else -1 for item in images])
    add("inside", [item.image.inside for item in images])
    add("fallback", [item.image.fallback for item in images])
    links = [item.link or "" for item in images]
    add("linked", [link != "" for link in links])
    add("link_to_picture", [_PICTURE_FILE.search(link) is not None for link in links])
    add("link_to_root", [link.count("/") < 4 and link.endswith("/") for link in links])
    add("alt", [min(len(item.image.attributes.get("alt") or ""), 200) for item in images])
    add(
        "srcset", ["srcset" in item.image.attributes or bool(item.image.sources) for item in images]
    )
    add("kind", [_file_kind(item.url) for item in images])
    add("number", np.minimum(np.arange(len(images)), 60))
    add("images", np.log1p(len(images)))
    alike = [_markup(page, number) for number in container]
    copies = Counter(alike)
    add("alike", [copies[markup] for markup in alike])
    add("page_expected", np.log1p(masses[-1]))
    add("hidden", [page.layout.containers[number].hidden for number in container])
    return table


_EXTENSIONS = {"jpg": 1, "jpeg": 1, "jfif": 1, "png": 2, "webp": 3, "avif": 3, "gif": 4, "svg": 5}


def _markup(page: BlockFeatures, container: int) -> tuple[str, str]:
    """What the container and its parent look like."""
    containers = page.layout.containers
    return containers[container].key, containers[page.parent[container]].key


def _file_kind(url: str) -> int:
    """A number for the kind of picture that the file's name promises; 0 where it is unknown."""
    path = url[:_MAX_ATTRIBUTE].partition("?")[0]
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), 0)
