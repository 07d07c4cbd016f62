"""Every column once: name, Arrow type, nullability, meaning, unit.

Column names are vocabulary, not parameters: an operator names the columns that it reads and
writes, and the type comes from here. `level` says what one value describes: a document, each of its
nodes (then the column is a list, as long as `nodes`), an image, or an instruction about an image.
Documents see an image's column as a list too (`seen_by_documents`), with a value where the node is
an image; instructions see those of their image.
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

PII_KINDS = ("email", "ip", "phone", "id")
PII_SPAN = pa.struct(
    [
        pa.field("kind", pa.string(), nullable=False),
        pa.field("start", pa.int32(), nullable=False),
        pa.field("end", pa.int32(), nullable=False),
    ]
)

FACE = pa.struct(
    [
        *(
            pa.field(side, pa.int32(), nullable=False)
            for side in ("left", "top", "right", "bottom")
        ),
        pa.field("score", pa.float32(), nullable=False),
    ]
)

INSTRUCTION_KINDS = (
    "judgement",
    "multiple_choice",
    "short_vqa",
    "long_vqa",
    "multi_round",
    "caption",
)
INSTRUCTION_LANGS = ("en", "zh")

TURN = pa.struct(
    [
        pa.field("question", pa.string(), nullable=False),
        pa.field("answer", pa.string(), nullable=False),
    ]
)

INSTRUCTION = pa.struct(
    [
        pa.field("instruction_id", pa.string(), nullable=False),
        pa.field("instruction_kind", pa.string(), nullable=False),
        pa.field("instruction_domain", pa.string(), nullable=False),
        pa.field("instruction_lang", pa.string(), nullable=False),
        pa.field("turns", pa.list_(TURN), nullable=False),
        pa.field("options", pa.list_(pa.string()), nullable=False),
        pa.field("answer_prompt", pa.string()),
        pa.field("seeds", pa.list_(pa.string()), nullable=False),
        pa.field("generation_prompt", pa.string()),
        pa.field("generation_model", pa.string()),
        pa.field("generation_usd", pa.float64()),
        pa.field("reply_problem", pa.string()),
        pa.field("instruction_source", pa.string(), nullable=False),
        pa.field("instruction_licence", pa.string()),
    ]
)
"""An instruction as it is written for a picture; docs of the columns of the same names."""

USAGE = pa.struct(
    [
        pa.field("requests", pa.int32()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("usd", pa.float64()),
    ]
)
"""What asking a model took: requests, tokens, US dollars."""

ERROR = pa.struct([pa.field("type", pa.string()), pa.field("message", pa.string())])


@dataclass(frozen=True)
class Column:
    """A column's contract: `unit` is its unit of measure, or '' where there is none."""

    name: str
    type: pa.DataType
    meaning: str
    unit: str = ""
    nullable: bool = True
    level: Literal["document", "node", "image", "instruction"] = "document"
    of_image_nodes: bool = False
    """Node level: whether image nodes have a value and texts have none, not the other way round."""

    @property
    def field(self) -> pa.Field:
        """The Arrow field: a node-level column is a list with one value a node."""
        kind = pa.list_(self.type) if self.level == "node" else self.type
        return pa.field(self.name, kind, nullable=self.nullable)

    @property
    def seen_by_documents(self) -> pa.Field:
        """An image-level column as documents have it: a list with one value a node."""
        assert self.level == "image"
        return pa.field(self.name, pa.list_(self.type))


def _instruction_columns() -> list[Column]:
    """What an instruction is born with: the fields of `INSTRUCTION`, and where its image is."""
    meanings = {
        "instruction_id": "hash of picture, kind, language, turns and options: the same content "
        "has the same id, however often it is generated",
        "instruction_kind": "judgement (yes or no), multiple_choice, short_vqa, long_vqa, "
        "multi_round or caption",
        "instruction_domain": "domain of the instruction, as 'landmark' or 'ocr'",
        "instruction_lang": "language of questions and answers: en or zh",
        "turns": "rounds of question and answer in order; one but for multi_round. The answer of "
        "a multiple_choice is the letter of an option, that of a judgement yes or no (是, 否)",
        "options": "texts of a multiple_choice's options, A first; empty for other kinds",
        "answer_prompt": "words that ask for the form of the answer; trained after each question",
        "seeds": "ids of the seed templates that the prompt showed",
        "generation_prompt": "all that the model was asked; null for imported ones",
        "generation_model": "model that wrote it; null for imported ones",
        "generation_usd": "its share of what the request cost",
        "reply_problem": "why it cannot be used as the model wrote it; null when it can",
        "instruction_source": "generated, or the name of the public set it comes from",
        "instruction_licence": "licence of the set it comes from; null for generated ones",
    }
    units = {"generation_usd": "US dollars"}
    born = [
        Column(f.name, f.type, meanings[f.name], units.get(f.name, ""), f.nullable, "instruction")
        for f in INSTRUCTION
    ]
    place = Column(
        "image_row", pa.int32(), "row of its image in its unit", "", False, "instruction"
    )
    return [*born, place]


def _instruction_measures() -> list[Column]:
    """What is measured of an instruction: of its own text, against its picture, in the corpus."""
    counts = {
        "turn_count": ("rounds of question and answer", "rounds"),
        "question_char_count": ("characters of all questions", "characters"),
        "question_word_count": ("words of all questions; a Han sign is one", "words"),
        "answer_char_count": ("characters of all answers", "characters"),
        "answer_word_count": ("words of all answers; a Han sign is one", "words"),
        "option_count": ("options of the question", "options"),
        "distinct_option_count": ("options that differ but for case and punctuation", "options"),
        "blank_text_count": ("questions, answers and options that are blank", "texts"),
        "unasked_question_count": ("questions that neither ask nor request", "questions"),
        "refusal_count": ("answers that refuse, or speak of their writer as a model", "answers"),
        "source_leak_count": (
            "questions and answers that speak of the caption, description or list of texts that "
            "their writer had in place of the picture",
            "texts",
        ),
        "chat_phrase_count": ("answers with a chat's small talk ('Sure! Here is')", "answers"),
        "placeholder_count": ("texts with wildcards left over: <object>, ___, [name]", "texts"),
        "error_answer_count": ("answers that are an error word ('null', 'N/A') alone", "answers"),
        "claim_count": ("claims of the answers that something can be said of", "claims"),
        "known_word_count": (
            "different words known of the picture in the instruction's language",
            "words",
        ),
        "question_cluster_size": (
            "instructions of the same picture, kind and language that nearly repeat its question, "
            "itself too; null when there is no other",
            "instructions",
        ),
        "question_answer_count": (
            "instructions of the corpus, of any picture, that have the same question and answer",
            "instructions",
        ),
        "question_answer_rank": ("how many of them come before this one", "instructions"),
    }
    shares = {
        "answer_repetition_ratio": "share of the answer's words in runs of four words that it said "
        "before; of several answers the greatest",
        "grounded_share": "share of the claims' words that are known of the picture; "
        "null without claims or without anything known",
    }
    flags = {
        "answer_in_range": "whether each answer is one that the kind allows: a letter of an "
        "option, yes or no in the language; null for other kinds",
        "answer_in_question": "whether the question gives its answer away; "
        "null for judgements and long answers",
        "right_option_longest": "whether the right option is longer than all others; "
        "null for other kinds than multiple_choice",
    }
    texts = {
        "question_lang": "language of the questions; und where it cannot be told",
        "answer_lang": "language of the answers; und where it cannot be told",
        "question_duplicate_of": "instruction_id of the first instruction of the same picture, "
        "kind and language whose question this one nearly repeats; null for the first",
        "translation_of": "instruction_id of the first of two instructions of the same picture "
        "and kind in different languages that ask the same; null for the first",
    }
    lists = {
        "ungrounded_claims": "claims of the answers few of whose words are known of the picture",
        "ungrounded_details": "numbers, colours and names in the claims that are not known of the "
        "picture",
    }
    level: Literal["instruction"] = "instruction"
    return [
        *(Column(name, pa.int32(), *meaning, level=level) for name, meaning in counts.items()),
        *(Column(name, pa.float32(), text, "0..1", level=level) for name, text in shares.items()),
        *(Column(name, pa.bool_(), text, level=level) for name, text in flags.items()),
        *(Column(name, pa.string(), text, level=level) for name, text in texts.items()),
        *(Column(name, pa.list_(pa.string()), text, level=level) for name, text in lists.items()),
    ]


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


def _cluster_columns(prefix: str, alike: str) -> list[Column]:
    return _clusters(prefix, alike, "doc_id", "documents", "document")


def _clusters(
    prefix: str, alike: str, name: str, rows: str, level: Literal["document", "image"]
) -> list[Column]:
    return [
        Column(
            f"{prefix}_cluster",
            pa.string(),
            f"smallest {name} among the {rows} {alike}; null when there is no other",
            level=level,
        ),
        Column(
            f"{prefix}_duplicate_of",
            pa.string(),
            f"{name} of the cluster's winner; null for the winner itself and without a duplicate",
            level=level,
        ),
        Column(
            f"{prefix}_cluster_size",
            pa.int32(),
            f"{rows} in the cluster, those of earlier corpora too",
            rows,
            level=level,
        ),
    ]


def _of_text_and_nodes() -> list[Column]:
    """Measures that a document's text and each node's text have alike."""
    counts = {
        "char_count": ("characters of text", "characters"),
        "word_count": ("words; a Han, kana, Hangul or Thai sign is one", "words"),
        "sentence_count": ("sentences; each line ends one", "sentences"),
        "token_count": ("estimate of a language model's tokens", "tokens"),
        "javascript_line_count": ("lines that speak of JavaScript", "lines"),
        "policy_line_count": ("lines that speak of terms of use, privacy or cookies", "lines"),
        "citation_mark_count": ("marks such as [1], [edit], [citation needed]", "occurrences"),
    }
    shares = {
        "alpha_word_ratio": "share of words that hold a letter",
        "char_repetition_ratio": "share of character 10-grams that are frequent ones",
        "word_repetition_ratio": "share of word 5-grams that occur more than once",
        "special_char_ratio": "share of characters that are no letters",
        "stop_word_ratio": "share of words in the stop list that fits best",
        "flagged_word_ratio": "share of words that are pornographic or abuse",
        "punctuation_ratio": "share of words and punctuation marks that are marks",
        "digit_ratio": "share of characters but spaces that are digits",
        "uppercase_ratio": "share of characters but spaces that are capitals",
    }
    found: list[Column] = []
    for name, (meaning, unit) in counts.items():
        found += [
            Column(name, pa.int32(), meaning, unit),
            Column(f"node_{name}", pa.int32(), f"{meaning}, of the node", unit, level="node"),
        ]
    for name, meaning in shares.items():
        found += [
            Column(name, pa.float32(), meaning, "0..1"),
            Column(f"node_{name}", pa.float32(), f"{meaning}, of the node", "0..1", level="node"),
        ]
    return found


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
    Column("mean_word_length", pa.float32(), "mean length of words", "characters"),
    Column("symbol_word_ratio", pa.float32(), "hash signs and ellipses per word", "per word"),
    Column("bullet_line_ratio", pa.float32(), "share of lines that start with a bullet", "0..1"),
    Column("ellipsis_line_ratio", pa.float32(), "share of lines that end in an ellipsis", "0..1"),
    Column("stop_word_count", pa.int32(), "occurrences of eight English stop words", "words"),
    Column("dup_line_ratio", pa.float32(), "share of lines seen before in the document", "0..1"),
    Column("dup_line_char_ratio", pa.float32(), "share of characters in such lines", "0..1"),
    Column("dup_paragraph_ratio", pa.float32(), "share of text nodes seen before", "0..1"),
    Column("dup_paragraph_char_ratio", pa.float32(), "share of characters in such nodes", "0..1"),
    *_ngram_columns(),
    Column("line_count", pa.int32(), "lines of text nodes that are not blank", "lines"),
    Column("longest_word_length", pa.int32(), "length of the longest word", "characters"),
    Column("terminal_line_ratio", pa.float32(), "share of lines that end like a sentence", "0..1"),
    Column("short_line_ratio", pa.float32(), "share of lines of few characters", "0..1"),
    Column("few_word_line_ratio", pa.float32(), "share of lines of few words", "0..1"),
    Column(
        "newline_word_ratio", pa.float32(), "line breaks in and between nodes, per word", "per word"
    ),
    Column("node_word_count", pa.int32(), "words of the node", "words", level="node"),
    # Duplicates.
    Column(
        "minhash",
        pa.binary(),
        "MinHash signature of the text: 16 bits a permutation, little-endian; null without words",
    ),
    *_cluster_columns("url", "captured from the same address"),
    *_cluster_columns("text", "of the same text"),
    *_cluster_columns("near", "of nearly the same text"),
    *_cluster_columns("image_set", "that show the same images"),
    Column(
        "node_domain_count",
        pa.int32(),
        "documents of the domain that hold the paragraph; null without text",
        "documents",
        level="node",
    ),
    Column(
        "node_domain_rank",
        pa.int32(),
        "earlier documents of the domain that hold the paragraph; null without text",
        "documents",
        level="node",
    ),
    Column(
        "node_corpus_count",
        pa.int32(),
        "documents of the corpus that hold the paragraph; null without text",
        "documents",
        level="node",
    ),
    # Personal data.
    Column("pii_email_count", pa.int32(), "e-mail addresses in the text", "addresses"),
    Column("pii_ip_count", pa.int32(), "IP addresses in the text", "addresses"),
    Column("pii_phone_count", pa.int32(), "phone numbers in the text", "numbers"),
    Column("pii_id_count", pa.int32(), "identity, account and card numbers in the text", "numbers"),
    Column(
        "node_pii",
        pa.list_(PII_SPAN),
        "personal data in the node's text: kind, and where it starts and ends",
        "characters",
        level="node",
    ),
    # Overlap with benchmarks.
    Column(
        "contaminated_ngram_count",
        pa.int32(),
        "places where an n-gram of a benchmark, or a whole short text of one, begins",
        "places",
    ),
    Column(
        "contaminated_ngram_ratio",
        pa.float32(),
        "share of the document's n-grams that a benchmark holds",
        "0..1",
    ),
    Column("contaminated_by", pa.list_(pa.string()), "benchmarks found, most n-grams first"),
    Column(
        "contaminated_items",
        pa.list_(pa.string()),
        "items of benchmarks found, as name:row, most n-grams first; at most 20",
    ),
    Column(
        "node_contaminated_word_count",
        pa.int32(),
        "words of the node inside n-grams of a benchmark",
        "words",
        level="node",
    ),
    # Classifiers; null where the job names no model for the column.
    Column("fluency_prob", pa.float32(), "chance that the text reads as a person wrote it", "0..1"),
    Column("non_advertisement_prob", pa.float32(), "chance that it is no advertisement", "0..1"),
    Column("porn_prob", pa.float32(), "chance that the text is pornographic", "0..1"),
    Column("politics_prob", pa.float32(), "chance that the text is about politics", "0..1"),
    Column("toxic_prob", pa.float32(), "chance that the text insults or threatens", "0..1"),
    Column("max_newline_run", pa.int32(), "most line breaks in a row in a node", "line breaks"),
    Column("lorem_ipsum_count", pa.int32(), "occurrences of 'lorem ipsum'", "occurrences"),
    Column("curly_bracket_count", pa.int32(), "opening curly brackets", "occurrences"),
    Column("c4_line_ratio", pa.float32(), "share of lines that C4's line rules keep", "0..1"),
    Column("c4_sentence_count", pa.int32(), "sentences in the lines that C4 keeps", "sentences"),
    Column(
        "dup_sentence_span_ratio",
        pa.float32(),
        "share of runs of three sentences seen before in the document",
        "0..1",
    ),
    Column("top_word_ratio", pa.float32(), "share of words that are the most frequent one", "0..1"),
    Column("longest_paragraph_words", pa.int32(), "words of the longest text node", "words"),
    Column("mean_paragraph_words", pa.float32(), "words per text node", "words"),
    Column("words_per_image", pa.float32(), "words per image; null without images", "words"),
    Column("node_kind", pa.string(), "kind of the node: text, heading, image ...", level="node"),
    Column(
        "node_ends_sentence", pa.bool_(), "whether its last line ends like a sentence", level="node"
    ),
    Column(
        "node_longest_word_length",
        pa.int32(),
        "length of the node's longest word",
        "characters",
        level="node",
    ),
    *_of_text_and_nodes(),
    # Boilerplate.
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
    # Images: one row an address.
    Column("image_url", pa.string(), "address of the image", nullable=False, level="image"),
    Column("image_type", pa.string(), "media type that the server declared", level="image"),
    Column("image_bytes", pa.int64(), "size of the image as delivered", "bytes", level="image"),
    Column(
        "image_document_count",
        pa.int32(),
        "living documents that show the address",
        "documents",
        level="image",
    ),
    Column("capture_uri", pa.string(), "input that holds a capture of the image", level="image"),
    Column("archived_image", pa.large_binary(), "bytes that the inputs hold of it", level="image"),
    # Images: fetched.
    Column(
        "fetch_status",
        pa.string(),
        "ok, refused (by the site or by policy) or failed",
        level="image",
    ),
    Column("fetch_cause", pa.string(), "why it was refused or failed; null if ok", level="image"),
    Column(
        "fetch_from",
        pa.string(),
        "archive (the inputs), inline (the address itself), cache or http",
        level="image",
    ),
    Column("http_status", pa.int16(), "last HTTP status code; null without one", level="image"),
    Column(
        "final_url",
        pa.string(),
        "last address after redirects, without credentials; null where HTTP has no part",
        level="image",
    ),
    Column(
        "fetched_at",
        pa.timestamp("s", "UTC"),
        "when it was asked for by HTTP, or last said to be unchanged",
        level="image",
    ),
    Column("etag", pa.string(), "the server's validator of the content", level="image"),
    Column("last_modified", pa.string(), "the server's date of the content", level="image"),
    Column("image_sha256", pa.string(), "SHA-256 of the bytes, hexadecimal", level="image"),
    Column("image_data", pa.large_binary(), "the image's bytes as delivered", level="image"),
    # Images: decoded.
    Column("image_format", pa.string(), "jpeg, png, gif, webp, avif, bmp, tiff", level="image"),
    Column("image_width", pa.int32(), "width as shown (after EXIF)", "pixels", level="image"),
    Column("image_height", pa.int32(), "height as shown (after EXIF)", "pixels", level="image"),
    Column("image_frames", pa.int32(), "frames, or pages of a TIFF", "frames", level="image"),
    Column("phash", pa.uint64(), "perceptual hash by the cosine transform", level="image"),
    Column("dhash", pa.uint64(), "perceptual hash by differences", level="image"),
    Column("image_blur", pa.float32(), "variance of the Laplacian; low is blurred", level="image"),
    Column("image_entropy", pa.float32(), "entropy of grey levels", "bits", level="image"),
    # Images: counted over the corpus.
    Column(
        "image_content_count",
        pa.int32(),
        "places that show the same bytes, under any address",
        "places",
        level="image",
    ),
    Column("phash_count", pa.int32(), "places that show this pHash", "places", level="image"),
    Column("dhash_count", pa.int32(), "places that show this dHash", "places", level="image"),
    *_clusters("near_image", "of nearly the same hashes", "image_url", "images", "image"),
    # Images: scored.
    Column(
        "clip_embedding",
        pa.list_(pa.float16()),
        "unit vector of the image in the space that texts share",
        level="image",
    ),
    Column("clip_encoder", pa.string(), "encoder of `clip_embedding`", level="image"),
    Column("aesthetic_score", pa.float32(), "how pleasing people find it", "1..10", level="image"),
    Column(
        "clip_nsfw_prob",
        pa.float32(),
        "chance that it is pornographic, by a head on its vector",
        "0..1",
        level="image",
    ),
    Column("nsfw_prob", pa.float32(), "chance that it is pornographic", "0..1", level="image"),
    Column(
        "image_faces",
        pa.list_(FACE),
        "faces in the image as shown (after EXIF), surest first: box and score (0..1)",
        "pixels",
        level="image",
    ),
    Column("face_count", pa.int32(), "faces in the image", "faces", level="image"),
    Column(
        "text_area_ratio",
        pa.float32(),
        "share of the image that lines of text cover",
        "0..1",
        level="image",
    ),
    Column("text_line_count", pa.int32(), "lines of text on the image", "lines", level="image"),
    Column("image_text", pa.string(), "text read from the image, line by line", level="image"),
    Column(
        "watermark_word_count",
        pa.int32(),
        "names of picture agencies and notices such as 'stock photo' written on the image",
        "occurrences",
        level="image",
    ),
    # Documents: their images after the images' rules.
    Column("kept_image_count", pa.int32(), "image nodes whose image was kept", "images"),
    Column(
        "node_image_dropped_by",
        pa.string(),
        "rule or error that dropped the node's image; null for kept images and texts",
        level="node",
        of_image_nodes=True,
    ),
    Column("node_image_unit", pa.string(), "unit that the node's image is in", level="node"),
    Column("node_image_row", pa.int32(), "row of the node's image in its unit", level="node"),
    Column(
        "node_image_repeat_distance",
        pa.int16(),
        "bits of pHash and dHash in which the node's image differs from the most alike of the "
        "images before it in the document; 0 for the same bytes, null for texts and first images",
        "bits of 128",
        level="node",
        of_image_nodes=True,
    ),
    # Pictures: what is known from where they were found.
    Column("image_route", pa.string(), "how it came: corpus, folder, search or qa", level="image"),
    Column("page_url", pa.string(), "address of the page that shows it", level="image"),
    Column("page_title", pa.string(), "title of that page", level="image"),
    Column("page_text", pa.string(), "text around it on that page", level="image"),
    Column("image_alt", pa.string(), "its alternative text on that page", level="image"),
    Column("image_caption", pa.string(), "its caption on that page", level="image"),
    Column("image_keyword", pa.string(), "what a search was for that found it", level="image"),
    Column("image_licence", pa.string(), "licence, as far as its place tells", level="image"),
    Column(
        "given_instructions",
        pa.list_(INSTRUCTION),
        "instructions about it that came with it, from a public set",
        level="image",
    ),
    Column(
        "seed_similarity",
        pa.float32(),
        "cosine of its vector with that of the most alike seed image",
        "-1..1",
        level="image",
    ),
    Column("seed_image", pa.string(), "that seed image", level="image"),
    # Pictures: what models wrote about them.
    Column(
        "picture_turn",
        pa.float64(),
        "its place in a shuffle of all pictures",
        "0..1",
        level="image",
    ),
    Column("caption_en", pa.string(), "description in English", level="image"),
    Column("caption_zh", pa.string(), "description in Chinese", level="image"),
    Column(
        "caption_words_en", pa.int32(), "words of `caption_en`; 0 without", "words", level="image"
    ),
    Column(
        "caption_signs_zh",
        pa.int32(),
        "letters and digits of `caption_zh`, a Han sign one of them; 0 without",
        "characters",
        level="image",
    ),
    Column(
        "caption_problem",
        pa.string(),
        "why there is no description, or one that lacks what was asked for; null when all is well",
        level="image",
    ),
    Column("caption_prompt", pa.string(), "what the model was asked for them", level="image"),
    Column("caption_usage", USAGE, "what the descriptions took", level="image"),
    Column(
        "picture_domains",
        pa.list_(pa.string()),
        "domains that suit the picture, best first",
        level="image",
    ),
    Column(
        "candidates",
        pa.list_(INSTRUCTION),
        "instructions that a model wrote about the picture",
        level="image",
    ),
    Column("generation_usage", USAGE, "what `candidates` took", level="image"),
    Column(
        "expansions",
        pa.list_(INSTRUCTION),
        "conversations of several rounds that a model wrote about the picture",
        level="image",
    ),
    Column("expansion_usage", USAGE, "what `expansions` took", level="image"),
    # Instructions: the same questions asked again.
    Column(
        "blind_answers",
        pa.list_(pa.string()),
        "answers of a model that is given nothing but the question",
        level="instruction",
    ),
    Column(
        "blind_agreement",
        pa.float32(),
        "share of these that agree with the answer: how well it can be guessed; null for answers "
        "too long to be compared",
        "0..1",
        level="instruction",
    ),
    Column("blind_usage", USAGE, "what `blind_answers` took", level="instruction"),
    Column(
        "repeated_answers",
        pa.list_(pa.string()),
        "answers of a model that is asked the question again",
        level="instruction",
    ),
    Column(
        "self_consistency",
        pa.float32(),
        "share of these that agree with the answer; null for answers too long to be compared",
        "0..1",
        level="instruction",
    ),
    Column("consistency_usage", USAGE, "what `repeated_answers` took", level="instruction"),
    # Documents: texts and images compared.
    Column(
        "node_clip_embedding",
        pa.list_(pa.float16()),
        "unit vector of the node's text in the space that images share",
        level="node",
    ),
    Column("clip_text_encoder", pa.string(), "encoder of `node_clip_embedding`"),
    Column(
        "clip_similarity",
        pa.list_(pa.list_(pa.float32())),
        "cosine of each image node (rows) with each text node (columns), in reading order; "
        "null for an image without an embedding",
        "-1..1",
    ),
    Column(
        "node_image_text_similarity",
        pa.float32(),
        "highest cosine of the node's image with a text node; null for texts",
        "-1..1",
        level="node",
        of_image_nodes=True,
    ),
]

_ALL += [*_instruction_columns(), *_instruction_measures()]


def _review_columns() -> list[Column]:
    """What people decided about an instruction; null where nobody dealt with it."""
    return [
        Column(
            "review_status",
            pa.string(),
            "accepted, edited, rejected, disputed (as many for as against), or pending (taken "
            "back, returned or skipped); null where nobody dealt with it",
            level="instruction",
        ),
        Column(
            "reviewed_turns",
            pa.list_(TURN),
            "the turns as a reviewer edited them; null where `turns` stand as they are",
            level="instruction",
        ),
        Column(
            "reviewed_options",
            pa.list_(pa.string()),
            "the options as a reviewer edited them; null where `options` stand as they are",
            level="instruction",
        ),
        Column(
            "review_seconds",
            pa.float32(),
            "time that all reviewers spent on it",
            "seconds",
            level="instruction",
        ),
        Column(
            "review_count",
            pa.int32(),
            "reviewers whose opinion counts",
            "people",
            level="instruction",
        ),
    ]


_ALL += _review_columns()

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


def seen_by_documents(*names: str) -> pa.Schema:
    """Arrow schema of the named image columns as documents have them: lists along `nodes`."""
    return pa.schema([column(name).seen_by_documents for name in names])
