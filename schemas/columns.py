"""Every column once: name, Arrow type, nullability, meaning, unit.

Column names are vocabulary, not parameters: an operator names the columns that it reads and
writes, and the type comes from here. `level` says what one value describes: a document, or each
of its nodes (then the column is a list, as long as `nodes`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from schemas.errors import did_you_mean

NODE_KINDS = (
    "text",
    "heading",
    "list_item",
    "table",
    "code",
    "formula",
    "quote",
    "caption",
    "image",
)

NODE = pa.struct(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("text", pa.string()),
        pa.field("image_url", pa.string()),
        pa.field("alt", pa.string()),
        pa.field("title", pa.string()),
        pa.field("link", pa.string()),
        pa.field("level", pa.int8()),
        pa.field("language", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("dom_index", pa.int32(), nullable=False),
    ]
)

LEFT_OUT_IMAGE = pa.struct(
    [
        pa.field("image_url", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("dom_index", pa.int32(), nullable=False),
    ]
)

ERROR = pa.struct([pa.field("type", pa.string()), pa.field("message", pa.string())])


@dataclass(frozen=True)
class Column:
    """A column's contract: `unit` is its unit of measure, or '' where there is none."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True
    level: Literal["document", "node", "image"] = "document"

    @property
    def field(self) -> pa.Field:
        """The Arrow field: a node-level column is a list with one value a node."""
        kind = pa.list_(self.type) if self.level == "node" else self.type
        return pa.field(self.name, kind, nullable=self.nullable)


def _ngram_columns() -> list[Column]:
    tops = [
        Column(
            f"top_{n}gram_char_ratio",
            pa.float32(),
            f"share of word characters inside the most frequent word {n}-gram",
            "0..1",
        )
        for n in (2, 3, 4)
    ]
    dups = [
        Column(
            f"dup_{n}gram_char_ratio",
            pa.float32(),
            f"share of word characters covered by word {n}-grams seen before in the document",
            "0..1",
        )
        for n in (5, 6, 7, 8, 9, 10)
    ]
    return tops + dups


def _boilerplate_columns() -> list[Column]:
    """Shares of a node's letters and digits that phrases cover, a column a family of phrases."""
    families = {
        "adult": "of pornography",
        "advertisement": "that mark advertisements",
        "byline": "that name authors, reporters and editors",
        "citation": "of notes and references",
        "comment_form": "of comment forms and forum posts' buttons",
        "contact": "with mail addresses, telephone numbers and handles",
        "cookie": "that ask for consent to cookies",
        "copyright": "about copyright, licence plates of sites and reprinting",
        "credit": "that credit photos",
        "disclaimer": "of disclaimers",
        "download": "that offer downloads",
        "encyclopedia": "of encyclopedias' pages around the article",
        "fraud": "of dubious offers: easy money, gambling, forged papers",
        "image_label": "around images: 'click to enlarge', 'photo 1 of 3'",
        "keyword_line": "that list tags and categories",
        "navigation": "of menus, footers and breadcrumbs",
        "page_tool": "of buttons such as print, text size, was this helpful",
        "page_turn": "that turn pages",
        "placeholder": "that stand for content to come, lorem ipsum first",
        "read_more": "such as 'read more', 'view all'",
        "recommendation": "that lead to other articles",
        "script_notice": "of scripts and browsers: 'loading', 'enable JavaScript'",
        "shop": "of shops' buttons and price labels",
        "sign_in": "that ask to sign in or register",
        "social_counter": "that count likes, shares, comments",
        "social_media": "that ask to share or follow",
        "source": "that name the source of a text",
        "sponsor": "that name sponsors or ask for donations",
        "subscribe": "that ask to subscribe",
        "suffix": "that only end an article: 'To be continued', '(End)', rows of signs",
        "thanks": "that thank readers or ask what they think",
        "timestamp": "that are dates and times",
        "url": "that are web addresses",
        "video": "around video players",
    }
    return [
        Column(
            f"node_{family}_ratio",
            pa.float32(),
            f"share of the node's letters and digits in phrases {meaning}",
            "0..1",
            level="node",
        )
        for family, meaning in families.items()
    ]


_ALL = [
    # Provenance, written when the table is born.
    Column("doc_id", pa.string(), "hash of URL, capture date and content", nullable=False),
    Column("url", pa.string(), "address of the page as captured", nullable=False),
    Column("domain", pa.string(), "host name of the URL, lower case"),
    Column("source_file", pa.string(), "input file that holds the page", nullable=False),
    Column("source_offset", pa.int64(), "where the page's record starts in that file", "bytes"),
    Column("source_record", pa.int64(), "ordinal of the record or row in that file"),
    Column("capture_date", pa.timestamp("s", "UTC"), "when the page was fetched"),
    Column("http_charset", pa.string(), "character set that the HTTP header declares"),
    Column("payload_digest", pa.string(), "BLAKE2b-128 of the page's bytes, hexadecimal"),
    Column("payload_bytes", pa.int64(), "size of the page as delivered", "bytes"),
    # Read from the input on demand, never copied into the store.
    Column("html", pa.large_binary(), "the page's bytes after transfer and content decoding"),
    # Extraction.
    Column("nodes", pa.list_(NODE), "text blocks and images in reading order"),
    Column(
        "left_out_images",
        pa.list_(LEFT_OUT_IMAGE),
        "images of the page that are no nodes, each with the reason",
    ),
    Column("title", pa.string(), "title of the page"),
    Column("author", pa.string(), "author that the page names"),
    Column("published", pa.string(), "date of publication", "ISO 8601 date"),
    Column("site_name", pa.string(), "name of the site"),
    Column("description", pa.string(), "the page's own summary"),
    Column("canonical_url", pa.string(), "address that the page states as its own"),
    Column("page_lang", pa.string(), "language that the page declares", "BCP 47 tag"),
    # Language.
    Column("lang", pa.string(), "language of the document's text; 'und' when undecidable"),
    Column("lang_score", pa.float32(), "confidence in `lang`", "0..1"),
    Column(
        "node_lang", pa.string(), "language of the node's text; null without text", level="node"
    ),
    Column("node_lang_score", pa.float32(), "confidence in `node_lang`", "0..1", level="node"),
    # Text measures.
    Column("image_count", pa.int32(), "image nodes in the document", "images"),
    Column("char_count", pa.int32(), "characters of text", "characters"),
    Column("word_count", pa.int32(), "words; a Han, kana, Hangul or Thai sign is one", "words"),
    Column("mean_word_length", pa.float32(), "mean length of words", "characters"),
    Column("symbol_word_ratio", pa.float32(), "hash signs and ellipses per word", "per word"),
    Column("bullet_line_ratio", pa.float32(), "share of lines that start with a bullet", "0..1"),
    Column("ellipsis_line_ratio", pa.float32(), "share of lines that end in an ellipsis", "0..1"),
    Column("alpha_word_ratio", pa.float32(), "share of words that hold a letter", "0..1"),
    Column("stop_word_count", pa.int32(), "occurrences of eight English stop words", "words"),
    Column("dup_line_ratio", pa.float32(), "share of lines seen before in the document", "0..1"),
    Column("dup_line_char_ratio", pa.float32(), "share of characters in such lines", "0..1"),
    Column("dup_paragraph_ratio", pa.float32(), "share of text nodes seen before", "0..1"),
    Column("dup_paragraph_char_ratio", pa.float32(), "share of characters in such nodes", "0..1"),
    *_ngram_columns(),
    Column(
        "node_char_count", pa.int32(), "characters of the node's text", "characters", level="node"
    ),
    Column("node_word_count", pa.int32(), "words of the node", "words", level="node"),
    # Boilerplate.
    Column("digit_ratio", pa.float32(), "share of digits among visible characters", "0..1"),
    Column("top_word_ratio", pa.float32(), "share of the most frequent word in all words", "0..1"),
    Column("longest_newline_run", pa.int32(), "most newlines with nothing between", "newlines"),
    Column("longest_paragraph_words", pa.int32(), "words of the longest paragraph", "words"),
    Column("mean_paragraph_words", pa.float32(), "mean words of paragraphs", "words"),
    Column("function_sign_count", pa.int32(), "occurrences of Chinese function signs", "signs"),
    Column("dup_image_ratio", pa.float32(), "share of images shown before in the document", "0..1"),
    Column(
        "broken_image_ratio",
        pa.float32(),
        "share of images whose address is none, a page's, or a blank's",
        "0..1",
    ),
    *[
        Column(f"{name}_ratio", pa.float32(), f"share of letters and digits in {meaning}", "0..1")
        for name, meaning in (
            ("boilerplate", "phrases of any family"),
            ("adult", "phrases of pornography"),
            ("fraud", "phrases of dubious offers"),
            ("placeholder", "phrases that stand for content to come"),
        )
    ],
    Column("node_kind", pa.string(), "kind of the node, for rules", level="node"),
    Column(
        "node_position",
        pa.float32(),
        "place among the document's text nodes: 0 first, 1 last",
        "0..1",
        level="node",
    ),
    Column("node_from_end", pa.int32(), "text nodes after this one", "nodes", level="node"),
    Column(
        "node_image_distance",
        pa.int32(),
        "steps to the nearest image; the number of nodes where there is none",
        "nodes",
        level="node",
    ),
    Column(
        "node_repeated", pa.int32(), "times the text stands in the document", "times", level="node"
    ),
    Column(
        "node_empty_heading",
        pa.bool_(),
        "a heading with no text of its own: next is one as high, or nothing",
        level="node",
    ),
    Column(
        "node_digit_ratio", pa.float32(), "digits among visible characters", "0..1", level="node"
    ),
    Column(
        "node_upper_ratio", pa.float32(), "capitals among letters and digits", "0..1", level="node"
    ),
    Column(
        "node_symbol_ratio",
        pa.float32(),
        "visible characters that are no letters and no digits",
        "0..1",
        level="node",
    ),
    Column("node_unfinished", pa.bool_(), "does not end in a sentence's final sign", level="node"),
    Column("node_truncated", pa.bool_(), "ends in an ellipsis, as teasers do", level="node"),
    Column("node_bracketed", pa.bool_(), "stands wholly in brackets", level="node"),
    *_boilerplate_columns(),
    # Images found in the inputs themselves.
    Column("image_url", pa.string(), "address of the image", nullable=False, level="image"),
    Column("image_type", pa.string(), "media type that the server declared", level="image"),
    Column("image_bytes", pa.int64(), "size of the image as delivered", "bytes", level="image"),
]

COLUMNS: dict[str, Column] = {column.name: column for column in _ALL}


def column(name: str) -> Column:
    """The column called `name`; KeyError with the close matches when there is none."""
    try:
        return COLUMNS[name]
    except KeyError:
        raise KeyError(f"no column '{name}': {did_you_mean(name, COLUMNS)}") from None


def schema(*names: str) -> pa.Schema:
    """Arrow schema of the named columns, in the given order."""
    return pa.schema([column(name).field for name in names])
