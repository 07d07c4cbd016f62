"""The address of each image, whatever a page does to hide it; its size, link and apparent role."""

from __future__ import annotations

import time
from urllib.parse import urljoin

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.dom import Image, read_page
from operators.page_images import (
    ROLES,
    PageImage,
    absolute,
    address_of,
    declared_size,
    page_images,
    parse_srcset,
    role_of,
)

ADDRESS = "http://a.org/b/c.html"


def images_of(body: str, address: str = ADDRESS, head: str = "") -> list[PageImage]:
    page = read_page(f"<!DOCTYPE html><head>{head}</head><body>{body}</body>")
    return page_images(page.layout.images, page.base(address))


def urls(body: str, address: str = ADDRESS, head: str = "") -> list[str]:
    return [image.url for image in images_of(body, address, head)]


def image(**attributes: str | None) -> Image:
    named = {name.strip("_").replace("_", "-"): value for name, value in attributes.items()}
    return Image(named, container=0, dom_index=0, block=0, offset=0, link=None)


# --- srcset -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", []),
        (" , ,", []),
        ("a.jpg", [("a.jpg", 1000)]),
        ("a.jpg 1x, b.jpg 2x", [("a.jpg", 1000), ("b.jpg", 2000)]),
        ("a.jpg 1.5x", [("a.jpg", 1500)]),
        ("a.jpg 320w, b.jpg 1280w", [("a.jpg", 320), ("b.jpg", 1280)]),
        ("a.jpg 320w,b.jpg 1280w", [("a.jpg", 320), ("b.jpg", 1280)]),
        ("\n\ta.jpg 320w ,\n b.jpg\n", [("a.jpg", 320), ("b.jpg", 1000)]),
        ("a.jpg, b.jpg 2x", [("a.jpg", 1000), ("b.jpg", 2000)]),
        ("/w_300,h_200/a.jpg 300w, /w_600,h_400/a.jpg 600w", [
            ("/w_300,h_200/a.jpg", 300),
            ("/w_600,h_400/a.jpg", 600),
        ]),
        ("a,b.jpg", [("a,b.jpg", 1000)]),
        ("a.jpg 100w 50h, b.jpg 200w 100h", [("a.jpg", 100), ("b.jpg", 200)]),
        ("a.jpg,, ,b.jpg", [("a.jpg", 1000), ("b.jpg", 1000)]),
        ("a.jpg wide, b.jpg", [("a.jpg", 1000), ("b.jpg", 1000)]),
        ("a.jpg -1x", [("a.jpg", 1000)]),
        ("a.jpg 2X 3x", [("a.jpg", 3000)]),
        ("data:image/png;base64,AAAA 1x, b.jpg 2x", [
            ("data:image/png;base64,AAAA", 1000),
            ("b.jpg", 2000),
        ]),
    ],
)  # fmt: skip
def test_srcset(value: str, expected: list[tuple[str, float]]) -> None:
    assert [item for item in parse_srcset(value) if item[0]] == expected


@pytest.mark.parametrize("width", ["9" * 400, "1e5", "٣٢٠", "0", "00320"])
def test_odd_numbers_in_a_srcset_are_still_numbers(width: str) -> None:
    assert [size >= 0 for _, size in parse_srcset(f"a.jpg {width}w")] == [True]


@given(st.text(st.sampled_from("a,. \t\n1x2w(\u0663"), max_size=60) | st.text(max_size=60))
def test_any_text_is_a_srcset(value: str) -> None:
    for address, size in parse_srcset(value):
        assert address == address.strip()
        assert size >= 0


@given(st.lists(st.sampled_from((" ", ",", "a", "1", "1x", ", ", "a 1", ".", "(")), max_size=3))
@settings(deadline=None, max_examples=100)
def test_a_long_srcset_takes_little_time(pieces: list[str]) -> None:
    started = time.process_time()
    list(parse_srcset("".join(pieces) * 100_000 + " ,x "))
    assert time.process_time() - started < 0.5


# --- Address ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("src=a.jpg", "a.jpg"),
        ("src='  a b.jpg '", "a b.jpg"),
        ("", None),
        ("src", None),
        ("src=''", None),
        ("alt=a.jpg", None),
        # What no picture stands behind
        ("src='#'", None),
        ("src=about:blank", None),
        ("src='javascript:void(0)'", None),
        ("src=blob:http://a.org/1", None),
        ("src='{{ item.image }}'", None),
        ("src=/img/blank.gif", None),
        ("src=/img/spacer.gif?v=2", None),
        ("src=/static/lazy_load.svg", None),
        ("src=1x1.png", None),
        ("src=/img/pixel-16.png", None),
        ("src=/img/placeholder.jpg", "/img/placeholder.jpg"),
        ("src=/img/redpixel.png", "/img/redpixel.png"),
        ("src=/blank.gif/a.jpg", "/blank.gif/a.jpg"),
        # Lazy loaders
        ("src=blank.gif data-src=a.jpg", "a.jpg"),
        ("src=small.jpg data-src=a.jpg", "a.jpg"),
        ("src=small.jpg data-original=a.jpg", "a.jpg"),
        ("src=small.jpg data-lazy-src=a.jpg", "a.jpg"),
        ("src=small.jpg data-lazyload=a.jpg", "a.jpg"),
        ("src=small.jpg lazy-src=/a", "/a"),
        ("src=small.jpg data-src=blank.gif", "small.jpg"),
        ("src=small.jpg data-src='{{url}}'", "small.jpg"),
        ("src=small.jpg data-src=''", "small.jpg"),
        ("src=small.jpg lazy=loaded", "small.jpg"),
        ("src=small.jpg data-lazy=true", "small.jpg"),
        ("src=blank.gif data-hi-res-src=a.jpg", "a.jpg"),
        ("src=blank.gif data-full-url=//e.org/a", "//e.org/a"),
        ("src=blank.gif data-image=a.png?x=1", "a.png?x=1"),
        ("src=blank.gif data-image=12", None),
        ("src=blank.gif data-page-url=/next", None),
        ("src=blank.gif data-thumb-src=a.jpg", None),
        ("src=blank.gif data-srcset='a.jpg 300w, b.jpg 600w'", "b.jpg"),
        ("data-src='a.jpg 1x'", None),
        # srcset
        ("srcset='a.jpg 300w, b.jpg 900w, c.jpg 600w'", "b.jpg"),
        ("srcset='a.jpg, b.jpg 2x'", "b.jpg"),
        ("srcset='blank.gif 900w, a.jpg 300w'", "a.jpg"),
        ("src=a.jpg srcset='b.jpg 900w'", "a.jpg"),
        ("src=a.jpg srcset='a.jpg 800w, b.jpg 900w'", "a.jpg"),
        ("src=a.jpg srcset='a.jpg 100w, b.jpg 900w'", "b.jpg"),
        ("src=blank.gif srcset='a.jpg 100w'", "a.jpg"),
        ("src=data:image/gif;base64,AAAA srcset='a.jpg 100w'", "a.jpg"),
        ("src=a.jpg srcset=','", "a.jpg"),
    ],
)
def test_address(attributes: str, expected: str | None) -> None:
    found = read_page(f"<body><img {attributes}>").layout.images[0]
    assert address_of(found) == expected


@pytest.mark.parametrize(
    ("sources", "own", "expected"),
    [
        ("<source srcset='a.avif 300w, b.avif 900w'>", "", "b.avif"),
        ("<source srcset=a.avif>", "src=c.jpg", "c.jpg"),
        ("<source srcset=a.avif>", "src=blank.gif", "a.avif"),
        ("<source data-srcset='a.avif 2x'><source srcset=b.jpg>", "", "a.avif"),
        ("<source data-srcset='a.avif 2x'>", "data-srcset=c.jpg", "c.jpg"),
        ("<source media='(min-width: 1px)'>", "", None),
    ],
)
def test_sources_of_a_picture_stand_in_for_an_image_without_address(
    sources: str, own: str, expected: str | None
) -> None:
    page = read_page(f"<body><picture>{sources}<img {own}></picture>")
    assert address_of(page.layout.images[0]) == expected


@pytest.mark.parametrize(
    ("size", "kept"), [(3_000, False), (5_000, True), (900_000, True), (1_100_000, False)]
)
def test_an_embedded_picture_counts_when_it_is_neither_tiny_nor_huge(size: int, kept: bool) -> None:
    source = "data:image/png;base64," + "A" * size
    assert urls(f"<img src='{source}'>") == ([source] if kept else [])
    assert urls(f"<img src='data:text/html,{'A' * size}'>") == []


def test_an_address_of_absurd_length_is_none() -> None:
    assert urls(f"<img src='/{'a' * 30_000}.jpg'>") == []
    assert len(urls(f"<img src='/{'a' * 10_000}.jpg'>")) == 1


# --- Resolution ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "base", "expected"),
    [
        ("d.jpg", ADDRESS, "http://a.org/b/d.jpg"),
        ("/d.jpg", ADDRESS, "http://a.org/d.jpg"),
        ("../d.jpg", ADDRESS, "http://a.org/d.jpg"),
        ("//e.org/d.jpg", "https://a.org/", "https://e.org/d.jpg"),
        ("?d=1", ADDRESS, "http://a.org/b/c.html?d=1"),
        ("https://e.org/d.jpg", ADDRESS, "https://e.org/d.jpg"),
        ("HTTPS://e.org/d.jpg", ADDRESS, "https://e.org/d.jpg"),
        ("http://e.org:8080/d.jpg?x#y", ADDRESS, "http://e.org:8080/d.jpg?x#y"),
        ("http://例え.jp/画像.jpg", ADDRESS, "http://例え.jp/画像.jpg"),
        ("ftp://e.org/d.jpg", ADDRESS, None),
        ("file:///d.jpg", ADDRESS, None),
        ("http:///d.jpg", ADDRESS, "http://a.org/d.jpg"),
        ("http://[bad/d.jpg", ADDRESS, None),
        ("http://a\u2100b/d.jpg", ADDRESS, None),
        ("d.jpg", "", "d.jpg"),
        ("", "", None),
        ("d.jpg", "file:///pages/a.html", None),
        ("http://e.org/d.jpg", "", "http://e.org/d.jpg"),
    ],
)
def test_absolute(address: str, base: str, expected: str | None) -> None:
    assert absolute(address, base) == expected


def test_a_base_element_moves_all_addresses_and_links() -> None:
    found = images_of("<a href=x><img src=y.jpg></a>", head="<base href='//cdn.org/z/'>")
    assert [(i.url, i.link) for i in found] == [("http://cdn.org/z/y.jpg", "http://cdn.org/z/x")]


@pytest.mark.parametrize(
    ("target", "link"),
    [
        ("/d", "http://a.org/d"),
        ("mailto:x@y.org", None),
        ("javascript:void(0)", None),
        ("http://[bad", None),
        ("http://a\u2100b/", None),
        ("#top", f"{ADDRESS}#top"),
        ("", None),
        ("/" + "d" * 100_000, None),
        ("http://e.org/\n", "http://e.org/"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_link_around_an_image_is_resolved(target: str, link: str | None) -> None:
    found = images_of(f"text <a href='{target}'><img src=y.jpg></a>")
    assert [image.link for image in found] == [link]


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_address_is_resolved_or_refused(address: str, base: str) -> None:
    found = absolute(address, base)
    assert found is None or not base or found.startswith(("http://", "https://", "data:"))


def test_of_several_images_with_one_address_the_first_counts() -> None:
    found = images_of("<img src=a.jpg alt=1><img src=/b/a.jpg alt=2><img src=c.jpg><img src=a.jpg>")
    assert [(i.url, i.image.attributes.get("alt")) for i in found] == [
        ("http://a.org/b/a.jpg", "1"),
        ("http://a.org/b/c.jpg", None),
    ]


def test_a_copy_in_noscript_is_the_same_image() -> None:
    lazy = "<img src=blank.gif data-src=/a.jpg><noscript><img src=/a.jpg></noscript>"
    assert [(i.url, i.image.fallback) for i in images_of(lazy)] == [("http://a.org/a.jpg", False)]
    unknown = "<img src=blank.gif data-key=17><noscript><img src=/a.jpg></noscript>"
    assert [(i.url, i.image.fallback) for i in images_of(unknown)] == [("http://a.org/a.jpg", True)]


# --- Size and role ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attributes", "address", "size"),
    [
        ({}, "a.jpg", (0, 0)),
        ({"width": "640", "height": "480"}, "a.jpg", (640, 480)),
        ({"width": " 640px", "height": "480.5"}, "a.jpg", (640, 480)),
        ({"width": "100%", "height": "50 %"}, "a.jpg", (0, 0)),
        ({"width": "99.5%", "height": "auto"}, "a.jpg", (0, 0)),
        ({"width": None, "height": ""}, "a.jpg", (0, 0)),
        ({"width": "-1"}, "a.jpg", (0, 0)),
        ({"style": "width: 320px; HEIGHT:200.5px"}, "a.jpg", (320, 200)),
        ({"style": "max-width:320px;border-width:2px"}, "a.jpg", (0, 0)),
        ({"style": "width:100%;height:auto"}, "a.jpg", (0, 0)),
        ({"style": "width:300px", "width": "600"}, "a.jpg", (300, 0)),
        ({}, "/a-300x200.jpg", (300, 200)),
        ({"height": "90"}, "/a-300x200.jpg", (300, 200)),
        ({"width": "600"}, "/a-300x200.jpg", (600, 0)),
        ({}, "/a.jpg?w=750", (750, 0)),
        ({}, "/a.jpg?x=1&width=750&h=2", (750, 0)),
        ({}, "/w_400,h_300/a.jpg", (400, 0)),
        ({}, "/a-20240101x2.jpg", (0, 0)),
        ({"width": "99999999999"}, "a.jpg", (99999, 0)),
    ],
)
def test_declared_size(
    attributes: dict[str, str | None], address: str, size: tuple[int, int]
) -> None:
    assert declared_size(attributes, address) == size


@pytest.mark.parametrize(
    ("attributes", "address", "role"),
    [
        ({}, "/photos/mill.jpg", None),
        ({"class": "logo"}, "/a.png", "logo"),
        ({"id": "siteLogo"}, "/a.png", "logo"),
        ({}, "/img/logo.png", "logo"),
        ({}, "/img/catalogo.png", None),
        ({}, "http://logo.org/photos/mill.jpg", None),
        ({}, "/mill.jpg?logo=1", None),
        ({"class": "social-icon"}, "/a.png", "icon"),
        ({}, "/img/arrow_left.gif", "icon"),
        ({"width": "24", "height": "24"}, "/a.png", "icon"),
        ({"width": "24", "height": "300"}, "/a.png", None),
        ({"class": "user-avatar"}, "/a.png", "avatar"),
        ({}, "https://gravatar.com/avatar/12ab", "avatar"),
        ({"class": "thumbnail"}, "/a.png", "thumbnail"),
        ({"class": "ad-slot"}, "/a.png", "advertisement"),
        ({}, "/banners/banner.jpg", "advertisement"),
        ({"class": "badge"}, "/a.png", "icon"),
        ({"class": "load"}, "/upload/head.jpg", None),
        ({"width": "1", "height": "1"}, "/a.gif", "tracker"),
        ({"style": "width:1px;height:1px"}, "/a", "tracker"),
        ({"height": "2", "width": "468"}, "/a.gif", "tracker"),
        ({}, "/pixel?id=1", "tracker"),
        ({"class": "spacer"}, "/a.gif", "spacer"),
        ({"class": "logo thumbnail"}, "/tracking.gif", "tracker"),
        ({"class": "spacer logo"}, "/a.gif", "spacer"),
        ({}, "/%6C%6F%67%6F.png", "logo"),
        ({"class": "mw-file-element"}, "/thumb/Mill.jpg", "thumbnail"),
    ],
)
def test_role(attributes: dict[str, str], address: str, role: str | None) -> None:
    marked = image(class_=attributes.get("class"), id=attributes.get("id"))
    url = absolute(address, ADDRESS) or ""
    assert role_of(marked, url, *declared_size(dict(attributes), url)) == role


@pytest.mark.parametrize(
    ("around", "role"),
    [
        ("div ad-slot", "advertisement"),
        ("div sponsoredContent", "advertisement"),
        ("td user_avatar", "avatar"),
        ("div shadow upload", None),
        ("div banner logo", None),
    ],
)
def test_the_container_tells_advertisements_and_avatars(around: str, role: str | None) -> None:
    shown = image()
    shown.around = around
    assert role_of(shown, "http://a.org/photos/mill.jpg", 600, 400) == role


_PATHS = st.text(st.sampled_from("ab/.?=&%-_~;,:#\\é "), max_size=12)


@given(st.sampled_from(("http://a.org/b/c.html", "https://a.org", "", "ftp://a.org/")), _PATHS)
def test_every_address_is_resolved_as_the_standard_library_does(base: str, path: str) -> None:
    joined = urljoin(base, f"/{path}")
    expected = joined if joined.startswith(("http://", "https://")) else None
    if base and not path.startswith(("/", "\\")):
        assert absolute(f"/{path}", base) == expected


def test_every_role_can_be_found() -> None:
    names = ("pixel", "spacer", "ad", "avatar", "logo", "icon", "teaser")
    found = [role_of(image(class_=name), ADDRESS, 0, 0) for name in names]
    found.append(role_of(image(), "http://a.org/images/prev.png", 0, 0))
    formula = image()
    formula.formula = True
    assert [*found, role_of(formula, ADDRESS, 0, 0)] == list(ROLES)


@given(
    st.dictionaries(
        st.sampled_from(("src", "srcset", "data-src", "width", "style", "class", "alt", "id")),
        st.none() | st.text(max_size=30),
    ),
    st.text(max_size=20),
)
def test_any_attributes_make_an_image_or_none(attributes: dict[str, str | None], base: str) -> None:
    found = page_images([Image(attributes, 0, 1, 0, 0, attributes.get("alt"))], base)
    for one in found:
        assert not base or one.url.startswith(("http://", "https://", "data:image/"))
        assert 0 <= min(one.width, one.height) <= max(one.width, one.height) < 100_000
        assert one.role is None or one.role in ROLES
