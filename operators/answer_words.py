"""Words of questions and answers, as comparisons want them: English and Chinese.

A token is a Han sign, a number or a run of letters, in small letters and of one width (Unicode's
NFKC). What is compared by meaning goes by `content`: without words that only tie others together,
and with English endings cut off.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

from operators.scripts import WIDE, WIDE_MARKS
from operators.word_lists import words

_TOKEN = re.compile(
    rf"[{WIDE}][{WIDE_MARKS}]*|\d+(?:[.,]\d+)*|(?:(?![{WIDE}])[^\W\d_])+(?:['’](?:[^\W\d_])+)?"
)
_WIDE = re.compile(rf"[{WIDE}]")
_ARTICLES = frozenset(("a", "an", "the"))
_OF_PICTURES = frozenset(
    "image images picture pictures photo photos photograph photographs scene shown show shows "
    "showing seen visible depicted depicts appear appears".split()
)
"""English words by which a sentence only says that it speaks of a picture."""
_ZH_EMPTY = re.compile(
    "图片|图像|照片|图中|画面|图里|显示|展示|可以看到|看到|一[个只张位名条件块座辆群些种]|"
    "正在|有着|以及|或者|非常"
)
"""The same for Chinese, and words of several signs that tie others together."""
_WEAK = frozenset(
    "is are was were be do does did has have had there the a an of in it its this that these those "
    "please can you could 的 了 是 吗 呢 啊 吧 着 在 里 中 下 一 请 个 只 张 条 这 那".split()
)
"""Words that questions of one meaning have or have not."""
_SPELLINGS = {
    "men": "man",
    "women": "woman",
    "children": "child",
    "kid": "child",
    "kids": "child",
    "people": "person",
    "feet": "foot",
    "teeth": "tooth",
    "mice": "mouse",
    "geese": "goose",
    "leaves": "leaf",
    "knives": "knife",
    "grey": "gray",
    "ran": "run",
    "sat": "sit",
    "stood": "stand",
    "held": "hold",
    "wore": "wear",
    "lying": "lie",
    "lays": "lie",
    "laying": "lie",
    "bike": "bicycle",
    "bikes": "bicycle",
    "television": "tv",
}


def tokens(text: str) -> list[str]:
    """Han signs, numbers and words of a text, in order."""
    return _TOKEN.findall(unicodedata.normalize("NFKC", text).casefold())


def normalised(text: str) -> str:
    """The text but for case, width, punctuation and English articles.

    After the normalisation of SQuAD (Rajpurkar et al. 2016). A text of nothing but punctuation is
    left as it is, without white space.
    """
    found = [token for token in tokens(text) if token not in _ARTICLES]
    return " ".join(found) if found else "".join(text.casefold().split())


def squeezed(text: str) -> str:
    """The text but for case, width, white space at its ends and in rows, and a final mark."""
    plain = " ".join(unicodedata.normalize("NFKC", text).casefold().split())
    return plain.rstrip(" .。,;:!") or plain


def is_wide(token: str) -> bool:
    """Whether the token is a sign of a script without spaces."""
    return bool(_WIDE.match(token))


def word_count(text: str) -> int:
    """Tokens of the text; a Han sign is one."""
    return len(tokens(text))


def content(text: str) -> set[str]:
    """What the text speaks of: stems of English words, and pairs of neighbouring Han signs.

    A Han sign that stands alone between words that tie others together counts by itself.
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    text = _ZH_EMPTY.sub("\n", text)
    found: set[str] = set()
    run = ""
    end = 0
    for match in _TOKEN.finditer(text):
        token = match.group()
        if is_wide(token):
            if match.start() != end or token in _ties("zh"):
                found |= _pairs(run)
                run = ""
            if token not in _ties("zh"):
                run += token
        elif token not in _ties("en") and token not in _OF_PICTURES:
            found.add(stem(token))
        end = match.end()
    return found | _pairs(run)


def question_words(text: str) -> set[str]:
    """What tells a question from another: stems, Han signs and question words, in no order.

    Without auxiliary verbs, articles and words that only say that a picture is spoken of. Words
    such as "where" and "behind" stay, unlike in `content`.
    """
    text = _ZH_EMPTY.sub(" ", unicodedata.normalize("NFKC", text).casefold())
    said = (token.removesuffix("'s").removesuffix("’s") for token in tokens(text))
    return {stem(token) for token in said if token not in _WEAK and token not in _OF_PICTURES}


def _pairs(run: str) -> set[str]:
    return {run} - {""} if len(run) < 2 else {run[at : at + 2] for at in range(len(run) - 1)}


@cache
def _ties(language: str) -> frozenset[str]:
    return frozenset(words(f"stop-{language}"))


def stem(word: str) -> str:
    """An English word without the endings of plurals, verbs and doers.

    In the way of Porter 1980, "An algorithm for suffix stripping", but fewer endings: rides, riding
    and rider are one word, and so are grass and grassy. What is left need not be a word.
    """
    word = word.removesuffix("'s").removesuffix("’s")
    word = _SPELLINGS.get(word, word)
    if len(word) <= 3 or not word.isascii() or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending, least in (("ing", 3), ("ed", 3), ("er", 4)):
        rest = word.removesuffix(ending)
        if rest != word and len(rest) >= least and re.search("[aeiouy]", rest):
            word = rest[:-1] if rest[-1] == rest[-2] and rest[-1] not in "lsz" else rest
            break
    if len(word) > 4:
        word = re.sub("our$", "or", word).removesuffix("y")
    return word.removesuffix("e") if len(word) > 3 else word
