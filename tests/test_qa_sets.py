"""Public sets of questions: every row becomes an instruction, or is counted with its reason."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.export_dialogues import letter
from operators.instruction_id import instruction_id
from operators.qa_content import (
    BadRow,
    Question,
    answer_of,
    chosen,
    content_of,
    language_of,
    options_in,
    options_of,
    text_of,
)
from operators.qa_sets import Imported, QaSet
from operators.sources import Skipped
from schemas.columns import INSTRUCTION, INSTRUCTION_KINDS
from schemas.errors import InputError
from schemas.job import ExportSpec
from tests.export_tables import picture
from tests.instruction_tables import instruction, table, turn
from tests.strategies import texts
from tests.support import ROOT
from tests.test_export_instructions import export

SETS = Path(__file__).parent / "qa_sets"
GOLDEN = Path(__file__).parent / "golden" / "qa_errors.txt"
few = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


def made(path: str | Path, **fields: Any) -> QaSet:
    given = {"source": "a set", "domain": "mixed", "images": str(SETS / "images")}
    return QaSet.model_validate({"path": str(SETS / path), **given, **fields})


def read(path: str | Path, **fields: Any) -> tuple[list[Imported], Counter[str]]:
    """The instructions of a set, and how many rows were skipped for each reason."""
    rows = list(made(path, **fields).rows())
    kept = [row for row in rows if isinstance(row, Imported)]
    return kept, Counter(row.reason for row in rows if isinstance(row, Skipped))


def short(found: Imported) -> tuple[Any, ...]:
    fields = found.instruction
    said = [(t["question"], t["answer"]) for t in fields["turns"]]
    name = found.image.removeprefix(str(SETS / "images") + "/")
    return name, fields["instruction_kind"], fields["instruction_lang"], said, fields["options"]


# --- The formats ---------------------------------------------------------------------------------


def test_conversations_of_llava() -> None:
    kept, skipped = read("llava.json", licence="CC-BY-4.0")
    assert [short(found) for found in kept] == [
        ("bridge.png", "multi_round", "en",
         [("What crosses the river?", "A bridge of steel."), ("Is it new?", "No, it is old.")], []),
        ("bridge.png", "judgement", "en", [("Is there a boat on the river?", "no")], []),
        ("bridge.png", "multiple_choice", "en", [("Which colour has the bridge?", "B")],
         ["Red", "Green", "Blue"]),
        ("bridge.png", "caption", "en", [("", "An old bridge leads over a wide river.")], []),
    ]  # fmt: skip
    assert skipped == {
        "the answer's letter is outside the options": 1,
        "no image": 1,
        "human and gpt do not take turns": 1,
        "there is no file of the image": 1,
        "more image marks than images": 1,
        "the image is outside the folder of images": 1,
    }
    choice = kept[2].instruction
    assert choice["answer_prompt"] == "Answer with the option's letter."
    assert {found.instruction["instruction_licence"] for found in kept} == {"CC-BY-4.0"}
    assert {found.instruction["instruction_source"] for found in kept} == {"a set"}
    assert choice["generation_prompt"] is choice["generation_model"] is None
    assert choice["instruction_id"] == instruction_id(
        "a set/bridge.png",
        "multiple_choice",
        "en",
        [("Which colour has the bridge?", "B")],
        ["Red", "Green", "Blue"],
    )


def test_the_meta_file_of_internvl_leads_to_its_conversations() -> None:
    kept, skipped = read("internvl/meta.json", images=None)
    assert [found.image for found in kept] == [str(SETS / "internvl/../images/bridge.png")]
    assert short(kept[0])[1:] == ("judgement", "zh", [("这座桥是新的吗？", "是")], [])
    assert skipped == {"more image marks than images": 1, "a line is no JSON": 1}


def test_the_two_files_of_vqa() -> None:
    name = "v2_OpenEnded_mscoco_val2014_questions.json"
    kept, skipped = read(name)
    assert [short(found) for found in kept] == [
        ("COCO_val2014_000000000042.jpg", "judgement", "en",
         [("Is the man wearing a hat?", "yes")], []),
        ("COCO_val2014_000000000042.jpg", "short_vqa", "en",
         [("What is in the bowl?", "soup")], []),
    ]  # fmt: skip
    assert skipped == {
        "a question without an entry in the annotations": 1,
        "there is no file of the image": 1,
    }
    answers = str(SETS / "v2_mscoco_val2014_annotations.json")
    assert read(name, annotations=answers, image_name="{image:012}.jpg")[0][0].image == str(
        SETS / "images/000000000042.jpg"
    )


def test_problems_of_scienceqa() -> None:
    kept, skipped = read("scienceqa.json")
    assert [short(found) for found in kept] == [
        ("train/1/image.png", "multiple_choice", "en",
         [("Which of these is a solid?", "B")], ["water", "ice", "air"]),
    ]  # fmt: skip
    assert skipped == {"no image": 1, "there is no file of the image": 1}


def test_a_number_outside_the_options_is_skipped(tmp_path: Path) -> None:
    problem = {"question": "Which?", "choices": ["1", "2"], "answer": 2, "image": "image.png"}
    path = tmp_path / "problems.json"
    path.write_text(json.dumps({"1": problem | {"split": "train"}}), "utf-8")
    assert read(path)[1] == {"the answer's number is outside the options": 1}


def test_multiple_choice_of_aokvqa() -> None:
    kept, skipped = read("aokvqa.json", image_name="{image:012}.jpg")
    assert [short(found) for found in kept] == [
        ("000000000042.jpg", "multiple_choice", "en",
         [("What is the man by the bags waiting for?", "D")],
         ["skateboarder", "train", "delivery", "cab"]),
    ]  # fmt: skip
    assert skipped == {"no answer": 1}


def test_questions_and_answers_of_chartqa_and_docvqa() -> None:
    kept, skipped = read("chartqa.json")
    assert [short(found)[1:4] for found in kept] == [
        ("short_vqa", "en", [("How many bars are blue?", "3")]),
        ("judgement", "en", [("Is the last bar the highest?", "yes")]),
    ]
    assert skipped == {"no answer": 1}
    kept, skipped = read("docvqa.json")
    assert [short(found)[1:4] for found in kept] == [
        ("long_vqa", "en",
         [("What does the heading of the page say?", "Report of the Board to the Owners")]),
    ]  # fmt: skip
    assert skipped == {"the language is neither en nor zh": 1}


def test_any_table_by_the_names_of_its_columns() -> None:
    columns = {
        "image": "picture", "question": "asks", "answer": "says", "options": ["a", "b", "c"],
    }  # fmt: skip
    kept, skipped = read("table.csv", columns=columns)
    assert [short(found) for found in kept] == [
        ("bridge.png", "multiple_choice", "en", [("Which is it?", "B")], ["a boat", "a bridge"]),
        ("bridge.png", "multiple_choice", "en", [("Which is it?", "A")],
         ["a boat", "a bridge", "a car"]),
    ]  # fmt: skip
    assert skipped == {
        "the answer's letter is outside the options": 1,
        "a line has more or fewer cells than the first": 1,
    }
    kept, skipped = read("captions.jsonl", columns={"image": "file", "answer": "says"})
    assert [short(found) for found in kept] == [
        ("bridge.png", "caption", "zh", [("", "一座古老的铁桥横跨宽阔的河流。")], []),
    ]
    assert skipped == {"no answer": 1, "a line is no JSON": 1, "a row is no object": 1}


def test_pictures_inside_parquet_are_handed_on(tmp_path: Path) -> None:
    data = picture("https://a.example/x")[0]
    image = pa.array(
        [{"bytes": data, "path": "x.png"}, {"bytes": None, "path": "bridge.png"}, None],
        pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
    )
    found = pa.table(
        {
            "image": image,
            "question": ["Which?"] * 3,
            "choices": [["one", "two"]] * 3,
            "answer": pa.array([1, 0, 0], pa.int8()),
        }
    )
    pq.write_table(found, tmp_path / "set.parquet")
    kept, skipped = read(tmp_path / "set.parquet")
    assert [row.data for row in kept] == [data, None]
    assert kept[0].image == f"sha256:{picture_hash(data)}"
    assert kept[1].image == str(SETS / "images/bridge.png")
    assert [row.instruction["turns"][0]["answer"] for row in kept] == ["B", "A"]
    assert skipped == {"no image": 1}


def picture_hash(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_a_set_in_several_files_and_at_another_place_has_the_same_ids(tmp_path: Path) -> None:
    shutil.copytree(SETS, tmp_path / "moved")
    shutil.copy(SETS / "chartqa.json", tmp_path / "moved" / "chartqa-2.json")
    here = [row.instruction["instruction_id"] for row in read("chartqa.json")[0]]
    moved = read(tmp_path / "moved" / "chartqa*.json", images=str(tmp_path / "moved" / "images"))[0]
    assert [row.instruction["instruction_id"] for row in moved] == here * 2


def test_addresses_and_other_places_of_pictures(tmp_path: Path) -> None:
    rows = [
        "https://a.example/x.jpg", "s3://bucket/x.jpg", "file:///etc/hosts", "/etc/hosts",
        "a/../../x.png", "x\0y", "n" * 5000, ["bridge.png"], ["a", "b"], 3.5, True, {"path": ""},
    ]  # fmt: skip
    path = tmp_path / "set.jsonl"
    lines = [{"image": image, "question": "What?", "answer": "A bridge."} for image in rows]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    kept, skipped = read(path)
    assert [row.image for row in kept] == [*rows[:2], str(SETS / "images/bridge.png")]
    assert skipped == {
        "the image's address is of another kind than http, s3 and data": 1,
        "the image is outside the folder of images": 2,
        "there is no file of the image": 2,
        "several images": 1,
        "the image is no path, number or bytes": 2,
        "no image": 1,
    }
    remote, skipped = read(path, images="s3://bucket/pictures/")
    assert "s3://bucket/pictures/bridge.png" in [row.image for row in remote]
    assert skipped["the image is outside the folder of images"] == 2


# --- Errors --------------------------------------------------------------------------------------


def test_every_error_names_the_file_and_the_fix(tmp_path: Path) -> None:
    def write(name: str, content: str) -> Path:
        (tmp_path / name).write_text(content, "utf-8")
        return tmp_path / name

    cases: list[tuple[Path, dict[str, Any]]] = [
        (tmp_path / "none.json", {}),
        (write("notes.txt", "hello"), {}),
        (write("broken.json", "[1, 2"), {}),
        (write("number.json", "7"), {}),
        (write("odd.jsonl", '{"picture": 1, "caption": "x"}\n'), {}),
        (write("object.json", '{"rows": [], "version": 2}'), {}),
        (write("object.json", '{"rows": [], "version": 2}'), {"format": "llava"}),
        (write("rows.json", '[{"image": "x"}]'), {"format": "scienceqa"}),
        (write("empty.jsonl", ""), {}),
        (write("rows.json", '[{"image": "x"}]'), {"format": "answers"}),
        (SETS / "v2_mscoco_val2014_annotations.json", {}),
        (SETS / "v2_OpenEnded_mscoco_val2014_questions.json",
         {"annotations": str(SETS / "docvqa.json")}),
        (write("questions.json", '{"questions": [{"image_id": 1, "question": "x"}]}'), {}),
        (SETS / "aokvqa.json", {}),
        (SETS / "chartqa.json", {"columns": {"image": "imgname", "answer": "lable"}}),
        (write("meta.json", '{"a": {"annotation": 5}}'), {}),
    ]  # fmt: skip
    shown = ""
    for path, fields in cases:
        with pytest.raises(InputError) as error:
            list(made(path, **fields).rows())
        text = str(error.value).replace(str(SETS), "SETS").replace(str(tmp_path), "FOLDER")
        shown += f"=== {path.name} {json.dumps(fields).replace(str(SETS), 'SETS')}\n{text}\n"
    assert shown == GOLDEN.read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("set.parquet", b"PAR1", "set.parquet: no Parquet: "),
        ("set.csv", b"image,question,answer\n\xff,a,b\n", "set.csv: cannot be read after line "),
        ("meta.json", b'{"a": {"annotation": "gone.jsonl"}}', "cannot open .*gone.jsonl"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(
    name: str, content: bytes, message: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        list(made(tmp_path / name).rows())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "generated"}, "cannot be called"),
        ({"format": "columns"}, "needs 'columns'"),
        ({"format": "llava", "columns": {"image": "a", "answer": "b"}}, "for format 'columns'"),
        ({"image_name": "x.jpg"}, "no place for the number"),
        ({"image_name": "{number}.jpg"}, "cannot be filled"),
        ({"image_name": "{image.x}.jpg"}, "cannot be filled"),
        ({"formt": "llava"}, "formt"),
        ({"domain": ""}, "domain"),
    ],
)
def test_a_config_that_cannot_be_is_refused(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        made("llava.json", **fields)


def test_every_reason_is_documented() -> None:
    docs = " ".join((ROOT / "docs" / "qa-sets.md").read_text("utf-8").split())
    code = "".join(path.read_text("utf-8") for path in (ROOT / "operators").glob("qa_*.py"))
    reasons = re.findall(r'BadRow\(\s*f?"([^"]+)"', code)
    assert len(reasons) > 25
    for reason in reasons:
        assert reason.replace("{_MOST_OPTIONS}", "26") in docs, reason


# --- What a row is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ("B", ["x", "y"], "B"),
        ("(b)", ["x", "y"], None),
        ("(B)", ["x", "y"], "B"),
        ("B.", ["x", "y"], "B"),
        ("y", ["x", "y"], "B"),
        ("Y", ["x", "y"], "outside"),
        ("A bridge", ["A boat", "a Bridge"], "B"),
        ("B. y", ["x", "y"], "B"),
        ("A. y", ["x", "y"], None),
        ("C", ["x", "y"], "outside"),
        ("A", ["B", "A"], "text of another"),
        ("A", ["A", "B"], "A"),
        ("X", ["X", "Y"], "A"),
        (1, ["x", "y"], "B"),
        (2, ["x", "y"], "number is outside"),
        (-1, ["x", "y"], "number is outside"),
        ("", ["x", "y"], None),
    ],
)
def test_an_answer_names_one_option(
    answer: str | int, options: list[str], expected: str | None
) -> None:
    if expected and len(expected) == 1:
        assert chosen(answer, options) == expected
        return
    with pytest.raises(BadRow, match=expected or "none of the options"):
        chosen(answer, options)


@pytest.mark.parametrize(
    ("asked", "answer", "kind"),
    [
        ("Is it?", "Yes.", "judgement"),
        ("它是吗？", "不是", "judgement"),
        ("Is it?", "Yes, it is so.", "short_vqa"),
        ("What?", "one two three four five", "short_vqa"),
        ("What?", "one two, three - four five six", "long_vqa"),
        ("是什么？", "一二三四五六七八九十", "short_vqa"),
        ("是什么？", "一二三四五六七八九十一", "long_vqa"),
        ("", "A dog.", "caption"),
        ("", "yes", "caption"),
    ],
)
def test_kinds_are_told_by_content(asked: str, answer: str, kind: str) -> None:
    found = content_of(Question(((asked, answer),)), None)
    assert found["instruction_kind"] == kind


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("What does 北京 mean on the sign?", "en"),
        ("图中的 Starbucks 标志是什么？", "zh"),
        ("Où est l’église ?", "en"),
        ("𠀀𠀁", "zh"),
        ("この画像には何が写っていますか", None),
        ("Где это?", None),
        ("3 + 4 = ?", None),
        ("한국어", None),
    ],
)
def test_languages_are_told_by_script(text: str, lang: str | None) -> None:
    if lang:
        assert language_of([text]) == lang
        return
    with pytest.raises(BadRow, match="neither en nor zh"):
        language_of([text])


def test_a_judgement_answers_in_the_language_of_its_question() -> None:
    assert content_of(Question((("这是桥吗？", "Yes"),)), None)["turns"][0]["answer"] == "是"
    assert content_of(Question((("Is it?", "NO"),)), "zh")["turns"][0]["answer"] == "否"


@pytest.mark.parametrize(
    ("question", "message"),
    [
        (Question(()), "no question and no answer"),
        (Question((("q", ""),)), "no answer"),
        (Question((("q", "a"), ("", "a"))), "a round has no question"),
        (Question((("q", "a"), ("q", "a")), ("x", "y")), "several rounds"),
        (Question((("", "A"),), ("x", "y")), "options without a question"),
        (Question((("q", "A"),), ("x",)), "fewer than 2"),
        (Question((("q", "A"),), tuple(f"o{n}" for n in range(27))), "more than 26"),
        (Question((("q", "A"),), ("x", "x")), "two options are the same"),
    ],
)
def test_what_cannot_be_asked_is_told(question: Question, message: str) -> None:
    with pytest.raises(BadRow, match=message):
        content_of(question, "en")


def test_cells_of_all_kinds() -> None:
    assert [text_of(v) for v in (None, float("nan"), " x ", 3, 2.5, True, False)] == [
        "", "", "x", "3", "2.5", "yes", "no",
    ]  # fmt: skip
    assert answer_of(["a", "b", {"answer": "b"}, None]) == "b"
    assert answer_of(["b", "a"]) == "b"
    assert answer_of([]) == ""
    for odd in (b"x", {"a": 1}, "\ud800"):
        with pytest.raises(BadRow):
            text_of(odd)
    assert options_of('["x", "y"]') == options_of("['x', 'y']") == options_of(["x", "y", ""])
    assert options_of({"A": "x", "B": "y"}) == options_of(["A. x", "B. y"]) == ["x", "y"]
    assert options_of(["A. x", "y"]) == ["A. x", "y"]
    assert options_of(None) == options_of("") == []
    for value in ("x", 5, ["x", "", "y"], {"B": "x"}, "{[]: 1}"):
        with pytest.raises(BadRow, match="option"):
            options_of(value)


@few
@given(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zs", "Zl", "Zp"]), min_size=1),
    st.lists(st.text("abcxyz 字", min_size=1).map(str.strip).filter(bool), min_size=2, max_size=6),
    st.none() | st.just("Answer with the letter."),
)
def test_options_in_a_question_are_taken_apart(
    asked: str, options: list[str], form: str | None
) -> None:
    lines = [f"{letter(n)}. {text}" for n, text in enumerate(options)]
    found = options_in("\n".join([asked, *lines, *([form] if form else [])]))
    assert found is not None
    assert (found.turns, found.options) == (((asked, ""),), tuple(options))
    assert found.answer_prompt == form
    assert options_in(asked) is None
    assert options_in("\n".join(lines)) is None, "nothing is asked"


# --- Whatever stands in a file -------------------------------------------------------------------

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts(6)
    | st.sampled_from(["bridge.png", "A", "B", "yes", "<image>", "human", "gpt", "\ud800"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["from", "value", "answer", "path", "bytes", "A"]), inner),
    max_leaves=6,
)  # fmt: skip
_keys = st.sampled_from(
    ["image", "conversations", "question", "answer", "choices", "question_id", "image_id", "split"]
)
_rows = st.lists(st.dictionaries(_keys, _values, max_size=5) | _values, max_size=4)


@few
@given(rows=_rows, data=st.data())
def test_no_row_is_lost_and_none_stops_the_others(
    rows: list[Any], data: st.DataObject, tmp_path: Path
) -> None:
    good = {"image": "bridge.png", "question": "Is it?", "answer": "yes", "question_id": 1,
            "choices": ["yes", "no"], "split": "train", "image_id": "bridge",
            "conversations": [{"from": "human", "value": "Is it?"},
                              {"from": "gpt", "value": "yes"}]}  # fmt: skip
    rows = [good, *rows]
    path = tmp_path / "set.json"
    fields: dict[str, Any] = {"image_name": "{image}"}
    kind = data.draw(st.sampled_from(["llava", "multiple_choice", "answers", "columns", "vqa_v2",
                                      "scienceqa", "jsonl"]))  # fmt: skip
    content: Any = rows
    match kind:
        case "columns":
            columns = {"image": "image", "question": "question", "answer": "answer"}
            fields["columns"] = columns | {"options": "choices"}
        case "vqa_v2":
            content = {"questions": rows}
            answers = tmp_path / "answers.json"
            answers.write_text(json.dumps({"annotations": rows}), "utf-8")
            fields |= {"annotations": str(answers), "format": kind}
        case "scienceqa":
            content = {str(number): row for number, row in enumerate(rows)}
            fields["format"] = kind
        case "jsonl":
            path = tmp_path / "set.jsonl"
        case _:
            fields["format"] = kind
    text = "".join(json.dumps(row) + "\n" for row in rows) if kind == "jsonl" else None
    path.write_text(text or json.dumps(content), "utf-8")
    found = list(made(path, **fields).rows())
    assert len(found) == len(rows)
    if kind not in ("vqa_v2", "scienceqa"):
        assert isinstance(found[0], Imported)
    kept = [row.instruction for row in found if isinstance(row, Imported)]
    pa.array(kept, INSTRUCTION).validate(full=True)
    for fields in kept:
        assert fields["instruction_kind"] in INSTRUCTION_KINDS
        assert all(said["answer"] for said in fields["turns"])
        if fields["instruction_kind"] == "multiple_choice":
            assert ord(fields["turns"][0]["answer"]) - ord("A") < len(fields["options"])
        if fields["instruction_kind"] == "judgement":
            assert fields["turns"][0]["answer"] in ("yes", "no", "是", "否")


# --- There and back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        (ExportSpec(format="llava_instruct", to="x"), "train-00000-of-00001.json"),
        (ExportSpec(format="internvl_chat", to="x"), "meta.json"),
        (ExportSpec(format="mminstruct", to="x"), "jsons_all/*.jsonl"),
        (ExportSpec(format="messages", to="x", variant="sharegpt", images="beside"),
         "train-00000-of-00001.jsonl"),
        (ExportSpec(format="instructions_parquet", to="x", images="beside"),
         "train-00000-of-00001.parquet"),
    ],
)  # fmt: skip
def test_what_was_exported_is_read_again(spec: ExportSpec, path: str, tmp_path: Path) -> None:
    rows = [
        instruction("multiple_choice", [turn("Which one?", "B")], ["a boat", "a bridge"],
                    answer_prompt="Answer with the letter."),
        instruction("judgement", [turn("这是桥吗？", "否")], lang="zh"),
        instruction("multi_round", [turn("What?", "A bridge."), turn("Of what?", "Of steel.")]),
        instruction("short_vqa", [turn("What is it?", "A bridge.")]),
        instruction("long_vqa", [turn("Why?", "Because the river is too wide to jump over.")]),
        instruction("caption", [turn("", "一座桥。")], lang="zh"),
    ]  # fmt: skip
    folder = tmp_path / "out"
    export(folder, spec, table(rows))
    kept, skipped = read(folder / path, images=str(folder))
    assert not skipped
    names = ("instruction_kind", "instruction_lang", "turns", "options", "answer_prompt")
    back = [{name: row.instruction[name] for name in names} for row in kept]
    wanted = [{name: row[name] for name in names} for row in rows]
    assert sorted(back, key=repr) == sorted(wanted, key=repr)
    assert {Path(row.image).read_bytes() for row in kept} == {rows[0]["image_data"]}


def test_ids_are_of_the_content() -> None:
    given = ("picture", "short_vqa", "en", [("q", "a")], ["x"])
    first = instruction_id(*given)
    assert len(first) == 32
    assert int(first, 16)
    assert instruction_id(*given) == first
    others: list[tuple[Any, ...]] = [
        ("other", *given[1:]),
        ("picture", "long_vqa", *given[2:]),
        (*given[:2], "zh", *given[3:]),
        (*given[:3], [("q", "b")], ["x"]),
        (*given[:3], [("qa", "")], ["x"]),
        (*given[:3], [("q", "a"), ("q", "a")], ["x"]),
        (*given[:4], ["x", ""]),
        (*given[:4], []),
    ]
    assert len({first, *(instruction_id(*other) for other in others)}) == len(others) + 1
