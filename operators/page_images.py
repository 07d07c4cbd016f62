"""Images of a page: the address to fetch each from, what it is for, and what is measured of it.

Pages name an image in many ways: `src`, `srcset`, the `<source>`s of a `<picture>`, attributes that
a script reads when the image scrolls into view, or a copy inside `<noscript>`. Which of them is
taken depends on these forms alone, never on the site.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
    levels_of,
    numbered,
)
from operators.compiled import compiled
from operators.dom import Image

Attributes = dict[str, str | None]

_PICTURE_FILE = re.compile(r"\.(?:jpe?g|jfif|png|webp|gif|avif|bmp|tiff?|svg)\b", re.I)
# Attributes in which lazy loaders keep the real address; their `src` is only a stand-in.
_LOADER = re.compile(r"(?:data-)?(?:lazy-?|lazyimage-|lazyload-)?(?:src|original|lazy|lazyload)")
_MAYBE_ADDRESS = re.compile(r"src|original|lazy|image|img|hi-?res|orig|full|file|large|url|poster")
_OTHER_ADDRESS = re.compile(
    r"link|href|page|alt|title|caption|json|placeholder|thumb|low|blur|ratio|meta|class|style"
)
_PLAIN_ATTRIBUTES = frozenset(("src", "srcset", "usemap", "longdesc", "id"))
_STAND_IN = re.compile(  # of the last part of an address
    r"(?:^|[_.-])(?:blank|spacer|space|placeholder|lazy|lazyload|loading|loader|transparent|trans"
    r"|clear|pixel|dot|empty|grey|gray|white|fallback|1x1|1px|s)(?:[_-]\w{0,12})?\.(?:gif|png|svg)$",
    re.I,
)
_STAND_IN_KINDS = frozenset((".gif", ".png", ".svg"))
_PLAIN_ADDRESS = re.compile(r"https?://[\w.-]+(?::\d+)?/[!-~]*\Z")  # needs no resolving
_PLAIN_PATH = re.compile(r"/(?![/\\.])(?:(?!/\.)[!-\"$-:<->@-~])*(?:\?[!-\"$-~]+)?\Z")
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
    path = text.partition("?")[0].partition("#")[0]
    if path[-4:].lower() in _STAND_IN_KINDS and _STAND_IN.search(path.rpartition("/")[2]):
        return None
    return text


def address_of(image: Image) -> str | None:
    """The address of the image as the page writes it; None when only a stand-in is there.

    A lazy loader's attribute comes before `src`; `src` before the candidates of `srcset`, unless
    it is known to be narrow; then other attributes that look like an address, widest first.
    """
    own = image.attributes
    for name, value in own.items():
        if value and _is_loader(name) and not _UNSAFE.search(value.strip()):
            found = _usable(value)
            if found and _ADDRESS_SIGN.search(found):  # lazy="loaded" is no address
                return found
    source, candidates = _usable(own.get("src")), own.get("srcset") or ""
    if source and source not in candidates:
        return source
    wide = list(parse_srcset(candidates))
    if source and dict(wide).get(source, _NARROW) >= _NARROW:
        return source
    elsewhere = (item for others in image.sources for item in _candidates(others))
    for group in (wide, _lazy_candidates(own), elsewhere):
        usable = _usable_of(group)
        if usable:
            return max(usable, key=lambda item: item[1])[0].strip()
    return source or _embedded(own.get("src"))


def _usable_of(candidates: Iterable[tuple[str, float]]) -> list[tuple[str, float]]:
    return [item for item in candidates if _usable(item[0])]


@lru_cache(maxsize=4096)
def _is_loader(name: str) -> bool:
    """Whether a lazy loader's attribute has this name."""
    return name != "src" and _LOADER.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def _may_hold_address(name: str) -> bool:
    """Whether an attribute of the page's own making may have a picture's address."""
    return (
        name not in _PLAIN_ATTRIBUTES
        and _MAYBE_ADDRESS.search(name) is not None
        and _OTHER_ADDRESS.search(name) is None
    )


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
        if not value or not _may_hold_address(name):
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
    root = _root(base) if _PLAIN_PATH.match(address) else None
    if root:
        return root + address
    try:
        url = urljoin(base, address)
        scheme, host = urlsplit(url)[:2]
    except ValueError:
        return None
    if scheme in ("http", "https") and host:
        return scheme + url[len(scheme) :]
    return None if scheme or base or not url else url


@lru_cache(maxsize=1024)
def _root(base: str) -> str | None:
    """Scheme and host of an http(s) address; None of another."""
    try:
        scheme, host = urlsplit(base)[:2]
    except ValueError:
        return None
    return f"{scheme}://{host}" if scheme in ("http", "https") and host else None


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
# What a container's names tell of the image in it.
_ROLE_IN = {
    word: index
    for index, words in (
        (2, "ad ads adv advert advertisement adslot adsense sponsor sponsored"),
        (3, "avatar avatars gravatar userpic"),
    )
    for word in words.split()
}
_SHOWN_ROLES = 2  # the first two, tracker and spacer, take more than a word of the address
_PATH_WORD = re.compile(r"[a-z]+")
_PIXELS = re.compile(r"\s*(\d{1,5}+)(?:\.\d*+)?+(?!\s*%)")
_STYLE_SIZE = re.compile(r"(?<![-\w])(width|height)\s*:\s*(\d{1,5})(?:\.\d+)?px", re.I)
_ADDRESS_SIZE = re.compile(r"(?<![\d.])(\d{2,4})[xX](\d{2,4})(?!\d)")
_ADDRESS_WIDTH = re.compile(r"[?&,/_](?:w|width|resize)[=_](\d{2,4})", re.I)


def declared_size(attributes: Attributes, address: str) -> tuple[int, int]:
    """Width and height in CSS pixels as the markup or the address states them; 0 where unknown."""
    width, height = _pixels(attributes.get("width")), _pixels(attributes.get("height"))
    style = attributes.get("style")
    if style:
        for name, value in _STYLE_SIZE.findall(style):
            if name.lower() == "width":
                width = int(value)
            else:
                height = int(value)
    if width:
        return width, height
    both = _ADDRESS_SIZE.search(address)
    if both:
        return int(both.group(1)), int(both.group(2))
    alone = _ADDRESS_WIDTH.search(address)
    return int(alone.group(1)) if alone else 0, height


def _pixels(value: str | None) -> int:
    digits = _PIXELS.match(value) if value else None
    return int(digits.group(1)) if digits else 0


@dataclass(frozen=True)
class PageImage:
    """An image with an address: mark-up, URL, declared size, apparent role, and the page's base."""

    image: Image
    url: str
    width: int
    height: int
    role: str | None
    base: str

    @property
    def target(self) -> str:
        """The address that the image links to, as the page writes it."""
        target = self.image.link or ""
        return target if len(target) <= _MAX_LINK else ""

    @property
    def link(self) -> str | None:
        """The address that the image links to."""
        return absolute(self.target, self.base) if self.target else None


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
            role = role_of(image, url, width, height)
            found[url] = PageImage(image, url, width, height, role, base)
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
    roles += _roles_in(image.around)
    if roles:
        return ROLES[min(roles)]
    if 0 < width <= 48 and 0 < height <= 48:
        return "icon"
    return None


@lru_cache(maxsize=4096)
def _roles_in(around: str) -> list[int]:
    """The roles that the names of a container give to the images in it."""
    return [_ROLE_IN[word] for word in key_words(around) if word in _ROLE_IN]


_IMAGE_ROOM = 64


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
    table = FeatureTable(len(images), _IMAGE_ROOM)
    place = np.array([item.image.block for item in images])
    container = np.array([item.image.container for item in images])
    levels = levels_of(container, page.parent)
    expected = _fill_surroundings(
        *(table.more(_SURROUNDINGS), place, levels, probability, page.weight, cut),
        *(page.first, page.last, page.end),
    )
    kinds = (keys.own, keys.total, keys.least, keys.most)
    _fill_names(table.more(_NAMES), levels, *kinds, page.ancestors)
    table.add_all(_MARKUP, np.array([_markup(item) for item in images]).T)
    own_key, key_above = page.key[levels[:2]]
    alike = numbered(own_key * len(page.layout.containers.keys) + key_above)
    table.add("alike", np.bincount(alike)[alike])
    table.add("number", np.arange(len(images)))
    table.add("images", math.log1p(len(images)))
    table.add("page_expected", math.log1p(expected))
    return table


_NEAR = (2, 5, 15)
_AROUND = 5  # levels of containers
_FIGURE = ANCESTOR_BIT["figure"]
_SURROUNDINGS = [
    *("before", "after", "kept_before", "from_first", "from_last", "to_kept"),
    *(f"near{reach}_{side}" for reach in _NEAR for side in ("before", "after")),
    *(f"above{level}" for level in range(_AROUND)),
    *(f"above{level}_share" for level in range(_AROUND)),
    *(f"above{level}_tokens" for level in range(_AROUND)),
    *(f"above{level}_images" for level in range(_AROUND)),
]
_NAMES = ["keys_own", "keys_parent", "keys_all", "keys_least", "keys_most", "in_figure"]
_MARKUP = [
    *("width", "height", "ratio", "role", "fallback", "linked", "link_to_picture", "alt"),
    *("srcset", "kind"),
]


def _markup(item: PageImage) -> tuple[float, ...]:
    """What an image's own markup says, in the order of `_MARKUP`."""
    attributes, link = item.image.attributes, item.target
    return (
        item.width,
        item.height,
        item.width / item.height if item.height else 0,
        ROLES.index(item.role) if item.role else -1,
        item.image.fallback,
        link != "",
        bool(link) and _PICTURE_FILE.search(link) is not None,
        min(len(attributes.get("alt") or ""), 200),
        "srcset" in attributes or item.image.sources != [],
        _file_kind(item.url),
    )


@compiled
def _fill_surroundings(
    rows: Floats,
    place: Array,
    levels: Array,
    probability: Floats,
    weight: Array,
    cut: float,
    first: Array,
    last: Array,
    end: Array,
) -> float:
    """Estimates around each image; returns the tokens that the page expects to keep."""
    size = len(probability)
    weights, masses, kept_sums = np.zeros(size + 1), np.zeros(size + 1), np.zeros(size + 1)
    for block in range(size):
        likely = probability[block] >= cut
        weights[block + 1] = weights[block] + weight[block]
        masses[block + 1] = masses[block] + weight[block] * probability[block]
        kept_sums[block + 1] = kept_sums[block] + weight[block] * likely
    kept = np.flatnonzero(probability >= cut)
    images = np.zeros(len(first) + 1)
    for image in range(len(place)):
        images[levels[0, image] + 1] += 1
    images = np.cumsum(images)
    for image in range(len(place)):
        at = place[image]
        rows[0, image] = probability[at - 1] if at > 0 else 0.0
        rows[1, image] = probability[at] if at < size else 0.0
        rows[2, image] = kept_sums[at] / max(kept_sums[-1], 1.0)
        rows[3, image] = at - kept[0]
        rows[4, image] = at - kept[-1]
        rows[5, image] = np.abs(kept - at).min()
        for number in range(len(_NEAR)):
            low, high = max(at - _NEAR[number], 0), min(at + _NEAR[number], size)
            before, after = weights[at] - weights[low], weights[high] - weights[at]
            rows[6 + 2 * number, image] = (masses[at] - masses[low]) / max(before, 1.0)
            rows[7 + 2 * number, image] = (masses[high] - masses[at]) / max(after, 1.0)
        for level in range(_AROUND):
            around = levels[level, image]
            low, high = first[around], last[around]
            mass, tokens = masses[high] - masses[low], weights[high] - weights[low]
            rows[12 + level, image] = mass / max(tokens, 1.0)
            rows[12 + _AROUND + level, image] = mass / max(masses[-1], 1e-6)
            rows[12 + 2 * _AROUND + level, image] = np.log1p(tokens)
            inside = images[end[around]] - images[around]
            rows[12 + 3 * _AROUND + level, image] = np.log1p(inside)
    return float(masses[-1])


@compiled
def _fill_names(
    rows: Floats,
    levels: Array,
    own: Array,
    total: Array,
    least: Array,
    most: Array,
    ancestors: Array,
) -> None:
    """What the names of the containers around each image say."""
    for image in range(levels.shape[1]):
        container = levels[0, image]
        rows[0, image] = own[container]
        rows[1, image] = own[levels[1, image]]
        rows[2, image] = total[container]
        rows[3, image] = least[container]
        rows[4, image] = most[container]
        rows[5, image] = (ancestors[container] & _FIGURE) != 0


_EXTENSIONS = {"jpg": 1, "jpeg": 1, "jfif": 1, "png": 2, "webp": 3, "avif": 3, "gif": 4, "svg": 5}


def _file_kind(url: str) -> int:
    """A number for the kind of picture that the file's name promises; 0 where it is unknown."""
    path = url[:_MAX_ATTRIBUTE].partition("?")[0]
    return _EXTENSIONS.get(path.rpartition(".")[2].lower(), 0)
