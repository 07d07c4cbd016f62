"""Seeds and prompts: what ships is whole, choices are stable, mistakes are told in words."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.reply_schemas import answer_schema, reply_schema
from operators.seed_models import PROMPT_SLOTS, SEED_LISTS, SLOT
from operators.seeds import CAPTION_FLOOR, FOLDER, Seeds, load
from schemas.columns import INSTRUCTION_KINDS, INSTRUCTION_LANGS
from schemas.errors import InputError, SeedError
from tests.support import ROOT

GOLDEN = Path(__file__).parent / "golden"
LEAST = {"judge": 6, "choice": 6, "sentence": 8}
OURS = load()


def write(folder: Path, **files: Any) -> str:
    """A folder with a file for each name (`__` for a slash), of a text or of data as YAML."""
    for name, data in files.items():
        path = folder / (name.replace("__", "/") + ".yaml")
        path.parent.mkdir(parents=True, exist_ok=True)
        text = data if isinstance(data, str) else yaml.safe_dump(data, allow_unicode=True)
        path.write_text(text, "utf-8")
    return str(folder)


def pair(en: str, zh: str) -> dict[str, str]:
    return {"en": en, "zh": zh}


BIRDS = {
    "title": pair("bird boxes", "鸟巢箱"),
    "description": pair("boxes in which birds nest", "供鸟类筑巢的箱子"),
    "kinds": ["short_vqa"],
    "cues": {"en": ["nest box"], "zh": ["巢箱"]},
}
BIRD_SEEDS = {
    "sentence": {
        "material": pair("What is the <object> built of?", "<物体>是用什么搭建的？"),
        "height": pair("How high does it hang?", "它挂得有多高？"),
        "tenant": pair("Which <animal> moves in here?", "哪种<动物>会住进来？"),
    }
}


# What ships


def test_there_are_24_domains_with_enough_templates_in_both_languages() -> None:
    assert len(OURS.domains) == 24
    assert "celebrity_recognition" not in OURS.domains
    for name, templates in OURS.templates.items():
        for kind, texts in templates.lists().items():
            assert len(texts) >= LEAST[kind], (name, kind)
            assert len({words.en for words in texts.values()}) == len(texts)
            assert len({words.zh for words in texts.values()}) == len(texts)


@pytest.mark.parametrize("lang", INSTRUCTION_LANGS)
def test_hardly_a_template_stands_in_two_domains(lang: str) -> None:
    texts = Counter(
        words.said(lang)
        for templates in OURS.templates.values()
        for listed in templates.lists().values()
        for words in listed.values()
    )
    twice = [text for text, count in texts.items() if count > 1]
    assert len(twice) <= 0.01 * len(texts), twice


def test_every_placeholder_is_used_and_every_domain_but_one_has_cues() -> None:
    used = {
        name
        for templates in OURS.templates.values()
        for listed in templates.lists().values()
        for words in listed.values()
        for name in re.findall(r"<([^>]+)>", words.en)
    }
    assert used == set(OURS.placeholders)
    assert [n for n, d in OURS.domains.items() if not d.cues.en] == ["image_description"]


def test_ids_are_unique_and_of_three_parts() -> None:
    ids = [
        seed.id
        for domain in OURS.domains
        for kind in ("judgement", "multiple_choice", "long_vqa")
        for seed in OURS.templates_for(domain, kind, "en")
    ]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z_]+/(judge|choice|sentence)/[a-z0-9-]+", id_) for id_ in ids)


def test_answer_prompts_and_caption_instructions_are_enough() -> None:
    assert set(OURS.answer_prompts) == {"long_vqa", "short_vqa", "judgement", "multiple_choice"}
    for said in OURS.answer_prompts.values():
        assert len(set(said.en)) == len(set(said.zh)) == 10
    assert len(OURS.captions) >= 12


def test_every_slot_of_a_prompt_is_used_in_both_languages() -> None:
    assert set(OURS.prompts.prompts) == set(PROMPT_SLOTS)
    for name, words in OURS.prompts.prompts.items():
        for lang in INSTRUCTION_LANGS:
            assert set(SLOT.findall(words.said(lang))) == PROMPT_SLOTS[name], (name, lang)


def test_blocks_come_in_the_order_domain_knowledge_caption_text_seeds_task() -> None:
    order = ["domain", "knowledge", "caption", "texts", "seeds", "examples"]
    for name in ("multiple_choice", "long_vqa", "short_vqa", "judgement", "multi_round"):
        for lang in INSTRUCTION_LANGS:
            slots = SLOT.findall(OURS.prompts.prompts[name].said(lang))
            blocks = [slot for slot in slots if slot in order]
            assert blocks == [slot for slot in order if slot in blocks]
            assert slots[: len(blocks)] == blocks, "counts stand in the task, behind the blocks"


# Choices


@given(
    st.text(max_size=20), st.sampled_from(sorted(OURS.domains)), st.sampled_from(sorted(SEED_LISTS))
)
def test_seeds_of_a_picture_are_always_the_same_and_different(
    picture: str, domain: str, kind: str
) -> None:
    for lang in INSTRUCTION_LANGS:
        chosen = OURS.seeds_for(domain, kind, lang, picture)
        assert chosen == OURS.seeds_for(domain, kind, lang, picture)
        assert len({seed.id for seed in chosen}) == 3
        assert set(chosen) <= set(OURS.templates_for(domain, kind, lang))
        assert OURS.seeds_for(domain, kind, lang, picture, count=99)[:3] == chosen


def test_seeds_are_the_same_in_every_process() -> None:
    call = "seeds_for('ocr', 'judgement', 'en', 'p')"
    code = f"from operators.seeds import load; print(load().{call})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert told.stdout.strip() == str(OURS.seeds_for("ocr", "judgement", "en", "p"))


def test_templates_to_be_filled_come_last_where_models_copy() -> None:
    for n in range(20):
        chosen = OURS.seeds_for("image_scene", "long_vqa", "en", str(n), 99, plain_first=True)
        marked = ["<" in seed.text for seed in chosen]
        assert marked == sorted(marked)
        assert True in marked
        plain = [seed for seed in chosen if "<" not in seed.text]
        usual = OURS.seeds_for("image_scene", "long_vqa", "en", str(n), 99)
        assert plain == [seed for seed in usual if "<" not in seed.text]


def test_all_templates_have_their_turn_about_equally_often() -> None:
    counts = Counter(
        seed.id for n in range(2000) for seed in OURS.seeds_for("ocr", "short_vqa", "zh", str(n))
    )
    fair = 2000 * 3 / len(OURS.templates["ocr"].sentence)
    assert len(counts) == len(OURS.templates["ocr"].sentence)
    assert all(0.8 * fair < count < 1.2 * fair for count in counts.values())


def test_languages_kinds_and_seeds_choose_anew() -> None:
    def chosen(kind: str, lang: str, seed: int) -> list[list[str]]:
        found = [OURS.seeds_for("artwork", kind, lang, str(n), seed=seed) for n in range(20)]
        return [[seed.id for seed in seeds] for seeds in found]

    first = chosen("short_vqa", "en", 0)
    assert chosen("long_vqa", "en", 0) != first
    assert chosen("short_vqa", "zh", 0) != first
    assert chosen("short_vqa", "en", 1) != first


def test_a_new_template_takes_the_place_of_at_most_one(tmp_path: Path) -> None:
    new = {"sentence": {"colour-of-ink": pair("Which ink was used?", "用的是什么颜色的墨水？")}}
    more = load(write(tmp_path, seeds__ocr=new))
    changed = 0
    for n in range(200):
        before = {s.id for s in OURS.seeds_for("ocr", "long_vqa", "en", str(n))}
        after = {s.id for s in more.seeds_for("ocr", "long_vqa", "en", str(n))}
        assert after - before in (set(), {"ocr/sentence/colour-of-ink"})
        changed += after != before
    assert 0 < changed < 200


def test_domains_follow_from_what_is_written() -> None:
    matches = OURS.domains_for(
        ["An oil painting and a sculpture in the museum", None, "A butterfly on flowers"],
        has_text=False,
        limit=2,
    )
    assert [match.name for match in matches] == ["artwork", "species_recognition"]
    assert matches[0].cues == ("museum", "painting", "sculpture")
    assert matches[0].score == 3
    assert [m.name for m in OURS.domains_for(["博物馆里的油画"], has_text=False, limit=1)] == [
        "artwork"
    ]


def test_cues_are_words_not_parts_of_words() -> None:
    found = OURS.domains["artwork"].found
    assert found("art and arts") == {"art"}
    assert found("a part of the party, smart") == set()


def test_domains_about_text_need_text_and_win_a_point_by_it() -> None:
    needing = {name for name, domain in OURS.domains.items() if domain.needs_text}
    assert needing == {"ocr", "posters", "structuralized_imagetext_understanding"}
    without = OURS.domains_for(["a poster with a sign"], has_text=False, limit=99)
    assert not needing & {match.name for match in without}
    first = OURS.domains_for([], has_text=True, limit=3)
    assert {match.name for match in first} == needing


def test_pictures_of_which_nothing_is_known_share_the_domains_that_suit_any() -> None:
    fallbacks = {name for name, domain in OURS.domains.items() if domain.fallback}
    firsts = Counter(
        OURS.domains_for([], has_text=False, limit=1, picture_id=str(n))[0].name
        for n in range(1000)
    )
    assert "image_description" in fallbacks
    assert set(firsts) == fallbacks
    assert min(firsts.values()) > 0.5 * 1000 / len(fallbacks)


def test_questions_about_two_pictures_are_asked_of_two() -> None:
    said = ["side by side comparison"]
    assert [m.name for m in OURS.domains_for(said, has_text=True, images=2)] == ["image_comparison"]
    one = OURS.domains_for(said, has_text=True, limit=99)
    assert "image_comparison" not in {match.name for match in one}


def test_answer_prompts_and_caption_questions_are_chosen_by_key() -> None:
    keys = [str(n) for n in range(300)]
    for lang in INSTRUCTION_LANGS:
        ways = {OURS.answer_prompt("multi_round", lang, key) for key in keys}
        said = OURS.answer_prompts["long_vqa"]
        assert ways == set(said.zh if lang == "zh" else said.en)
        asked = {OURS.caption_question(lang, key) for key in keys}
        assert {seed.text for seed in asked} == {w.said(lang) for w in OURS.captions.values()}
        assert {seed.id for seed in asked} == {f"caption/{slug}" for slug in OURS.captions}


# Prompts


def test_a_prompt_shows_what_is_known_and_marks_what_is_not() -> None:
    slots = {
        "domain": OURS.domains["ocr"].shown("en"),
        "knowledge": OURS.knowledge("en", title="Sale", text="  half\nprice "),
        "caption": "A sign that says {open}.",
        "texts": ["OPEN", "9-5"],
        "seeds": None,
        "count": 3,
    }
    prompt = OURS.prompt("multiple_choice", "en", **slots)
    assert prompt.user.startswith("# Domain\ntext recognition: what is written")
    assert "Page title: Sale\nText near the picture: half price\n" in prompt.user
    assert "A sign that says {open}." in prompt.user
    assert "- OPEN\n- 9-5\n" in prompt.user
    assert "# Question patterns\n(none)\n" in prompt.user
    assert "Write 3 different" in prompt.user
    assert "never mention" in prompt.system


@pytest.mark.parametrize("lang", INSTRUCTION_LANGS)
def test_descriptions_are_asked_for_with_a_floor(lang: str) -> None:
    for name, floors in CAPTION_FLOOR.items():
        slots = dict.fromkeys(PROMPT_SLOTS[name]) | {"floor": floors[lang]}
        asked = OURS.prompt(name, lang, **slots)
        assert f" {floors[lang]} " in asked.user
        assert asked.user.count(OURS.prompts.labels["none"].said(lang)) == len(slots) - 1


@pytest.mark.parametrize("lang", INSTRUCTION_LANGS)
def test_no_slot_is_left_in_any_prompt(lang: str) -> None:
    for name, known in PROMPT_SLOTS.items():
        asked = OURS.prompt(name, lang, **dict.fromkeys(known, "…"))
        assert "{" not in asked.system + asked.user


def test_knowledge_is_none_where_a_page_says_nothing_and_long_pages_are_cut() -> None:
    assert OURS.knowledge("zh", title=" ", alt=None, text="") is None
    long = OURS.knowledge("zh", text="字" * 5000)
    assert long is not None
    assert long.startswith("图片附近的文字：字")
    assert len(long) < 650


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: OURS.prompt("judgment", "en"), "did you mean 'judgement'?"),
        (lambda: OURS.prompt("image_off", "en", question="?"), "lacks form"),
        (
            lambda: OURS.prompt("image_off", "en", question="?", form="", fom=""),
            "no slot 'fom'\n    fix: did you mean 'form'",
        ),
        (lambda: OURS.prompt("repair", "fr", reply="", problem=""), "no language 'fr'"),
        (lambda: OURS.seeds_for("ocrs", "judgement", "en", ""), "did you mean 'ocr'"),
        (lambda: OURS.seeds_for("ocr", "judge", "en", ""), "did you mean 'judgement'"),
        (lambda: OURS.seeds_for("ocr", "judgement", "de", ""), "no language 'de'"),
        (lambda: OURS.answer_prompt("caption", "en", ""), "no answer prompt 'caption'"),
        (lambda: OURS.caption_question("de", ""), "no language 'de'"),
        (lambda: load("no/such/folder"), "no folder no/such/folder"),
        (lambda: reply_schema("judge", "en", 4), "did you mean 'judgement'"),
        (lambda: reply_schema("judgement", "en", 1), "ask for an even number"),
        (lambda: reply_schema("multi_round", "en", 3, least=5), "5 to 3"),
        (lambda: reply_schema("caption", "fr"), "no language 'fr'"),
        (lambda: answer_schema("long_vq", "en"), "did you mean 'long_vqa'"),
    ],
)
def test_what_is_asked_wrongly_is_refused_in_words(call: Callable[[], object], words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        call()


# Folders of one's own


def test_a_folder_adds_a_domain(tmp_path: Path) -> None:
    mine = load(write(tmp_path, domains={"bird_boxes": BIRDS}, seeds__bird_boxes=BIRD_SEEDS))
    assert set(mine.domains) == {*OURS.domains, "bird_boxes"}
    seeds = mine.seeds_for("bird_boxes", "short_vqa", "zh", "p")
    assert {seed.id for seed in seeds} == {
        f"bird_boxes/sentence/{slug}" for slug in ("material", "height", "tenant")
    }
    first = mine.domains_for(["Two nest boxes in a garden"], has_text=False, limit=1)
    assert (first[0].name, first[0].cues) == ("bird_boxes", ("nest box",))
    assert mine.digest != OURS.digest


def test_a_folder_changes_and_removes(tmp_path: Path) -> None:
    other = pair("Could you read the <object> to me?", "能把<物体>上的字读给我听吗？")
    folder = write(
        tmp_path,
        domains={"artwork": None, "ocr": {"needs_text": False}},
        seeds__ocr={"judge": {"handwritten": other, "purpose": None}},
        answer_prompts={"judgement": {"en": ["Yes or no."], "zh": ["是或否。"]}},
        prompts={"systems": {"answerer": pair("Answer.", "请回答。")}},
    )
    mine = load(folder)
    assert set(OURS.domains) - set(mine.domains) == {"artwork"}
    assert set(OURS.templates) - set(mine.templates) == {"artwork"}
    assert not mine.domains["ocr"].needs_text
    assert mine.domains["ocr"].title == OURS.domains["ocr"].title
    before, after = OURS.templates["ocr"].judge, mine.templates["ocr"].judge
    assert list(before.keys() - after.keys()) == ["purpose"]
    assert after["handwritten"].en == other["en"]
    assert mine.answer_prompt("judgement", "en", "x") == "Yes or no."
    assert mine.prompt("image_off", "zh", question="?", form="").system == "请回答。"
    assert load() is OURS


def test_the_digest_follows_every_file(tmp_path: Path) -> None:
    digests = {OURS.digest}
    for n, (name, data) in enumerate(
        [("caption", {"tell": pair("Tell me.", "请告诉我。")}), ("placeholders", "# nothing\n")]
    ):
        digests.add(load(write(tmp_path / str(n), **{name: data})).digest)
    assert len(digests) == 3


def test_all_mistakes_are_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text is kept in golden/seeds_errors.txt; rewrite it by hand after judging its words."""
    monkeypatch.chdir(tmp_path)
    folder = write(
        Path("mine"),
        domains={
            "kites": {"title": pair("kites", "风筝"), "descripton": pair("toys", "玩具")},
            "boats": BIRDS | {"kinds": ["judgement", "short_qa"]},
            "birds": BIRDS | {"title": pair("鸟", "birds"), "cues": {"zh": ["nest", "nest"]}},
            "No Name": BIRDS,
        },
        seeds__birds={
            "judge": {
                "what": pair("What is it?", "这是什么？"),
                "long": pair("Is it " + "very " * 40 + "long?", "它" + "非常" * 40 + "长吗？"),
            },
            "sentence": {
                "a": pair("Where is the <objekt>?", "<物品>在哪里？"),
                "b": pair("Where is the <object>?", "在哪里？"),
                "c": pair("Where is the <object", "<物体>在哪里?"),
                "d": pair("Is the <object> red?", "<物体>是红色的吗？"),
                "e": pair("Where, the <object> is?", "<物体>现在在哪里？"),
            },
        },
        seeds__boats={
            "sentence": {
                "f": {"en": "Only English."},
                "Not_A_Slug": pair("What now?", "现在怎么办？"),
            },
            "judge": {"x": 3},
            "chioce": {},
        },
        seeds__ocr={"sentence": {"a": pair("Only numbers: 12.", "12。")}},
        seeds__ships=BIRD_SEEDS,
        seeds__broken="judge: [",
        answer_prompts={
            "long": {"en": ["At length."], "zh": ["请详细说。"]},
            "judgement": {"en": ["Say yes or no.", "Or no."], "zh": ["请答是否。"]},
        },
        caption={"same": pair("Please describe this picture in detail.", "请描述这张图片。")},
        prompts={
            "prompts": {
                "image_of": {"system": "answerer", "en": "What?", "zh": "什么？"},
                "image_off": {"system": "anwerer", "en": "{question}?", "zh": "{answer}呢？"},
                "repair": {"system": "writer", "en": "more " * 260, "zh": "更多" * 230},
            }
        },
        placeholder={"x": {}},
    )
    with pytest.raises(SeedError) as error:
        load(folder)
    assert str(error.value) + "\n" == (GOLDEN / "seeds_errors.txt").read_text("utf-8")
    assert all(problem.file and problem.fix for problem in error.value.problems)


def test_what_everybody_needs_cannot_be_taken_away(tmp_path: Path) -> None:
    gone = dict.fromkeys(OURS.captions)
    with pytest.raises(SeedError) as error:
        load(write(tmp_path, caption=gone, answer_prompts={"judgement": None}))
    assert [p.field for p in error.value.problems] == ["judgement", "caption"]


def test_mistakes_are_those_of_the_folder_only(tmp_path: Path) -> None:
    with pytest.raises(SeedError) as error:
        load(write(tmp_path, seeds__ocr={"judge": {"x": pair("What?", "什么？")}}))
    assert {p.file for p in error.value.problems} == {str(tmp_path / "seeds" / "ocr.yaml")}


@settings(max_examples=8, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=8,
    ),
    st.sampled_from(["domains", "seeds__ocr", "prompts", "caption", "answer_prompts"]),
)
def test_any_data_are_taken_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, data: Any, name: str
) -> None:
    folder = write(tmp_path_factory.mktemp("any"), **{name: {"ocr": data}})
    with suppress(SeedError):
        assert load(folder).digest != OURS.digest


# Replies


def check(schema: dict[str, Any], data: Any) -> bool:
    jsonschema.Draft202012Validator.check_schema(schema)
    return bool(jsonschema.Draft202012Validator(schema).is_valid(data))


def test_replies_have_their_form() -> None:
    asked = {"question": "?", "answer": "!"}
    choice = {"question": "?", "correct": "a", "wrong": ["b", "c", "d"]}
    assert check(reply_schema("caption", "en"), {"caption": "x"})
    assert check(reply_schema("short_vqa", "en", 2), {"questions": [asked, asked]})
    assert not check(reply_schema("long_vqa", "en", 3), {"questions": [asked, asked]})
    assert check(reply_schema("multiple_choice", "en", 1), {"questions": [choice]})
    assert not check(
        reply_schema("multiple_choice", "en", 1), {"questions": [choice | {"wrong": ["b", "c"]}]}
    )
    rounds = reply_schema("multi_round", "en", 5, least=3)
    assert [check(rounds, {"rounds": [asked] * n}) for n in (2, 3, 5, 6)] == [0, 1, 1, 0]
    pairs = reply_schema("judgement", "en", 4)
    assert check(pairs, {"pairs": [{"question_yes": "?", "question_no": "?"}] * 2})
    assert not check(pairs, {"pairs": [{"question_yes": "?"}] * 2})


def test_patterns_keep_out_what_small_models_get_wrong() -> None:
    def good(kind: str, lang: str, **fields: Any) -> bool:
        reply = {"question": "Where is it?", "correct": "here", "wrong": ["b", "c", "d"]}
        reply = {"question": "Where is it?", "answer": "here"} if kind == "short_vqa" else reply
        return check(reply_schema(kind, lang, patterns=True), {"questions": [reply | fields]})

    assert good("short_vqa", "en")
    assert good("short_vqa", "zh", question="它在哪里？")
    assert not good("short_vqa", "en", question="Where is the <object>?")
    assert not good("short_vqa", "zh", question="Where is it?")
    assert not good("short_vqa", "en", answer="on and " * 20)
    assert good("multiple_choice", "en", question="Name what is red.")
    assert not good("multiple_choice", "en", wrong=["b", "c", "d " * 40])

    def judged(lang: str, question: str) -> bool:
        pair = {"question_yes": question, "question_no": question}
        return check(reply_schema("judgement", lang, 2, patterns=True), {"pairs": [pair]})

    assert judged("en", "Is the boat blue?")
    assert not judged("en", "The boat is blue.")
    assert judged("zh", "船是蓝色的吗？")
    assert not judged("zh", "船在哪里？")


def test_answers_have_their_form() -> None:
    assert check(answer_schema("multiple_choice", "en"), {"answer": "D"})
    assert not check(answer_schema("multiple_choice", "en", options=3), {"answer": "D"})
    assert check(answer_schema("judgement", "zh"), {"answer": "否"})
    assert not check(answer_schema("judgement", "en"), {"answer": "否"})
    assert check(answer_schema("short_vqa", "en"), {"answer": "a cat"})


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for part in schema for found in objects(part)]
    if not isinstance(schema, dict):
        return []
    here = [schema] if schema.get("type") == "object" else []
    return here + [found for part in schema.values() for found in objects(part)]


@pytest.mark.parametrize("kind", INSTRUCTION_KINDS)
def test_schemas_are_strict_and_know_no_rare_words(kind: str) -> None:
    for schema in (reply_schema(kind, "en", 4), answer_schema(kind, "en")):
        for found in objects(schema):
            assert found["additionalProperties"] is False
            assert found["required"] == list(found["properties"])
        words = set(re.findall(r'"(\w+)":', json.dumps(schema)))
        fields = {name for found in objects(schema) for name in found["properties"]}
        plain = "type properties required additionalProperties items minItems maxItems enum"
        assert words - fields <= set(plain.split())


# Documentation


def table(seeds: Seeds) -> str:
    """The table of docs/seeds.md."""
    lines = ["| domain | 中文 | about | judge | choice | sentence |", "|---|---|---|---|---|---|"]
    for name, domain in seeds.domains.items():
        counts = [str(len(texts)) for texts in seeds.templates[name].lists().values()]
        cells = [f"`{name}`", domain.title.zh, domain.description.en, *counts]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def test_the_table_of_domains_is_the_real_one() -> None:
    assert table(OURS) in (ROOT / "docs" / "seeds.md").read_text("utf-8")


def test_the_slots_of_the_guide_are_the_real_ones() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ((?:`\w+`(?:, )?)+) \|$", read_guide(), re.MULTILINE)
    assert {name: set(re.findall(r"\w+", slots)) for name, slots in rows} == PROMPT_SLOTS


def test_the_code_of_the_guide_runs() -> None:
    names: dict[str, Any] = {}
    exec(read_guide().split("```python")[1].split("```")[0], names)
    assert names["match"].name == "species_recognition"
    assert len(names["shown"]) == 3
    assert "A grey heron stands" in names["prompt"].user
    assert names["schema"]["required"] == ["questions"]


def test_the_domain_of_the_guide_works(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n# mine/(\S+)\n(.*?)```", read_guide(), re.DOTALL)
    assert len(blocks) >= 2
    files = {name.removesuffix(".yaml").replace("/", "__"): text for name, text in blocks}
    mine = load(write(tmp_path, **files))
    assert set(mine.domains) - set(OURS.domains) == {"street_food"}
    assert (
        mine.domains_for(["Night market: noodles"], has_text=False, limit=1)[0].name
        == "street_food"
    )


def read_guide() -> str:
    return (ROOT / "docs" / "seeds.md").read_text("utf-8")


def test_all_files_that_ship_are_read() -> None:
    files = {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.is_file()}
    parts = {"domains", "placeholders", "caption", "answer_prompts", "prompts"}
    assert files == {f"{part}.yaml" for part in parts} | {
        f"seeds/{name}.yaml" for name in OURS.domains
    }
