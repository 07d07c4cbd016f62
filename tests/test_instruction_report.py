"""What people see of a corpus of instructions: report, funnels, one row in full, plan, notebook."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import polars as pl
import pytest
import yaml
from lxml import html
from nbclient import NotebookClient

from operators.coverage import READS, measure_coverage
from operators.review_decisions import Decision
from operators.verifiers import LETTERS
from pipelines import instruction_report as reporting
from pipelines.backend import environment
from pipelines.cli import run_app
from pipelines.corpus import Corpus, open_corpus
from pipelines.estimate import estimate
from pipelines.instruction_corpus import coverage, usage_by_stage, usd_by_stage
from pipelines.jobfile import load_job
from pipelines.report import report_html
from pipelines.review_log import ReviewLog
from schemas.errors import CorpusError, QuotasMissed
from tests.chat_server import Act, Body, ChatServer, text_of
from tests.instruction_jobs import scripted_job, write_pictures
from tests.scripted_model import answer
from tests.support import ROOT, assert_harmless
from tests.test_instructions import PRICES, run

NOTEBOOK = ROOT / "notebooks" / "instructions.ipynb"
ATTACK = '"><script>alert(1)</script>'
CHINESE = "老城的石桥"
FAILING = "View number 3"


def script(body: Body, nth: int) -> Any:
    """A good model, but for markup in one question, and for a picture that it cannot answer on."""
    if FAILING in text_of(body):
        return Act(status=400, text="no")
    found = answer(body, nth)
    if CHINESE in text_of(body) and "questions" in found:
        found["questions"][0]["question"] += f" {ATTACK} [/x] {CHINESE}?"
    return found


def write(folder: Path, found: dict[str, Any], name: str = "pictures") -> str:
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(found), "utf-8")
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five pictures, one about which nobody answers, and one that is none; reviewed once."""
    folder = tmp_path_factory.mktemp("instructions")
    found = write_pictures(folder / "pictures", 5)
    (found / "001.txt").write_text(f"{CHINESE} {ATTACK}", "utf-8")
    (found / "broken.jpg").write_bytes(b"no picture")
    rules = {
        "use": ["instructions"],
        "guessable": {"table": "instructions", "drop": "blind_agreement >= 0.9"},
        "reviewed": {"table": "instructions", "drop": "review_status == 'rejected'"},
        "wide": {"table": "images", "drop": "image_width > 10000"},
    }
    with ChatServer(script) as server:
        wants = scripted_job(folder, server.url, PRICES, rules=rules, max_error_rate=0.5)
        write(folder, wants)
        run(wants)
        corpus = open_corpus(str(folder / "store"))
        kept = corpus.instructions("instruction_id", "instruction_kind", kept=True)
        kept = kept.filter(pl.col("instruction_kind") == "long_vqa")
        with ReviewLog(folder / "store" / "reviews") as log:
            for number, action in enumerate(("accept", "reject", "edit")):
                log.add(decision(kept["instruction_id"][number], action, number))
        run(wants)
    return folder


def decision(name: str, action: Any, number: int) -> Decision:
    turns = ({"question": "Edited?", "answer": "Edited."},) if action == "edit" else None
    return Decision.model_validate(
        {
            "entry": f"e{number}",
            "time": f"2026-01-01T00:00:0{number}Z",
            "reviewer": "ann",
            "instruction_id": name,
            "action": action,
            "turns": turns,
            "options": () if turns else None,
            "seconds": 30.0,
        }
    )


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return open_corpus(str(folder / "store"))


@pytest.fixture(scope="module")
def page(corpus: Corpus) -> str:
    return report_html(corpus)


def section(page: str, name: str) -> html.HtmlElement:
    (found,) = html.fromstring(page).xpath(f"//section[@id='{name}']")
    return found


def cells(table: html.HtmlElement) -> list[list[str]]:
    return [[cell.text_content() for cell in row] for row in table.xpath(".//tbody/tr")]


# --- The report ---------------------------------------------------------------------------------


def test_the_page_is_harmless_whole_and_always_the_same(corpus: Corpus, page: str) -> None:
    assert_harmless(page)
    assert ATTACK not in page
    text = html.fromstring(page).text_content()
    assert ATTACK in text
    assert CHINESE in text
    tree = html.fromstring(page)
    ids = tree.xpath("//@id")
    assert len(ids) == len(set(ids))
    for chart in tree.iter("svg"):
        assert chart.get("aria-labelledby") in ids or chart.get("aria-label")
    assert report_html(open_corpus(corpus.store.files.root)) == page


def test_figures_are_those_of_the_corpus(corpus: Corpus, page: str) -> None:
    tree = html.fromstring(page)
    tiles = {one.find("dt").text: one.find("dd").text for one in tree.xpath("//dl[1]/div")}
    accepted = corpus.instructions("instruction_id", kept=True).height
    assert tiles["pictures in"] == "6"
    assert tiles["pictures kept"] == str(corpus.documents("image_url", kept=True).height)
    assert tiles["instructions written"] == str(corpus.instructions("instruction_id").height)
    assert tiles["accepted"] == str(accepted)
    assert float(tiles["US dollars a row accepted"]) == pytest.approx(
        sum(usd_by_stage(corpus).values()) / accepted, rel=0.05
    )


def test_two_funnels_name_their_rows_and_every_rule(corpus: Corpus, page: str) -> None:
    for name, funnel in (
        ("pictures", corpus.funnel()),
        ("instructions", corpus.instruction_funnel()),
    ):
        found = section(page, name)
        text = found.text_content()
        assert f"{name} in" in text
        for row in funnel.filter(funnel["dropped"] > 0).to_dicts():
            label = f"error in stage {row['stage']}" if row["rule"] == "error" else row["rule"]
            assert label in text
            assert f"{row['left']:,} left" in text
        folded = found.xpath(".//details[@class='ol-silent']//b/text()")
        assert folded == funnel.filter(funnel["dropped"] == 0)["rule"].to_list()
    rules = section(page, "rules").text_content()
    for rule in [*corpus.rules, *corpus.instructions_view.rules]:
        assert rule["name"] in rules
        assert rule["expression"] in rules


def test_the_matrix_counts_accepted_rows(corpus: Corpus, page: str) -> None:
    (table,) = section(page, "coverage").xpath(".//table")
    frame = corpus.instructions("instruction_domain", "instruction_kind", kept=True)
    domains = dict(frame.group_by("instruction_domain").len().iter_rows())
    rows = {row[0]: row[1:] for row in cells(table)}
    assert {name: int(row[-1]) for name, row in rows.items()} == domains
    for row in rows.values():
        assert sum(int(cell) for cell in row[:-1] if cell != "·") == int(row[-1])
    totals = [cell.text for cell in table.xpath(".//tfoot//td")]
    assert int(totals[-1]) == len(frame) == sum(map(int, totals[:-1]))
    found = corpus.instructions(*READS.names, kept=True).select(READS.names).to_arrow()
    assert coverage(corpus).summary() == measure_coverage([found]).summary()


def test_balance_and_seeds_are_told(corpus: Corpus, page: str) -> None:
    found = coverage(corpus)
    judged, letters = section(page, "balance").xpath(".//table")
    assert cells(judged)[0][:3] == ["en", str(found.yes["en"]), str(found.no["en"])]
    assert {row[0]: int(row[1]) for row in cells(letters)} == {
        letter: found.letters[letter] for letter in found.expected_letters
    }
    seed, used, _ = cells(section(page, "seeds").xpath(".//table")[0])[0]
    assert found.seeds[seed] == int(used) == max(found.seeds.values())


def test_cost_is_told_by_stage(corpus: Corpus, page: str) -> None:
    (table,) = section(page, "asking").xpath(".//table")
    rows = {row[0]: row for row in cells(table)}
    usage = usage_by_stage(corpus)
    assert [*usage, "all"] == list(rows)
    for name, usd in usd_by_stage(corpus).items():
        assert usage[name]["usd"] == pytest.approx(usd)
        assert float(rows[name][5]) == pytest.approx(usd, rel=0.01)
        assert int(rows[name][2].replace(",", "")) == usage[name]["requests"] > 0
        assert rows[name][1] == "scripted"
    assert float(rows["all"][5]) == pytest.approx(sum(usd_by_stage(corpus).values()), rel=0.01)


def test_reviews_are_counted_and_edits_are_shown(corpus: Corpus, page: str) -> None:
    found = section(page, "reviews")
    assert cells(found.xpath(".//table")[0]) == [
        ["accepted", "1", "1", "0.5"],
        ["edited", "1", "1", "0.5"],
        ["rejected", "1", "0", "0.5"],
    ]
    assert "docs/review.md" in found.text_content()
    edited = corpus.instructions("instruction_id", "review_status").filter(
        pl.col("review_status") == "edited"
    )
    assert "Edited?" in corpus.instruction(edited["instruction_id"][0])._repr_html_()


def test_the_gallery_marks_right_options_and_says_what_dropped(corpus: Corpus, page: str) -> None:
    gallery = section(page, "gallery")
    cards = gallery.xpath(".//section[@class='ol-ask']")
    shown = {card.get("title"): card for card in cards}
    frame = corpus.instructions("instruction_id", "instruction_kind", "turns", "options")
    assert set(shown) == set(frame["instruction_id"])
    for name, kind, turns, options, kept, dropped_by in frame.iter_rows():
        card = shown[name]
        right = card.xpath(".//li[@class='ol-right']/text()")
        letter = turns[0]["answer"]
        place = LETTERS.index(letter) if kind == "multiple_choice" else None
        assert right == ([] if place is None else [f"{letter}. {options[place]}"])
        badge = card.xpath(".//span[contains(@class, 'ol-badge')]/text()")
        assert badge == ["kept" if kept else f"dropped by {dropped_by}"]
    assert gallery.xpath(".//img[starts-with(@src, 'data:image/')]")


def test_every_rule_that_dropped_something_has_examples_with_the_value(
    corpus: Corpus, page: str
) -> None:
    found = section(page, "dropped")
    titles = [title.text_content() for title in found.iter("h3")]
    for frame, noun in ((corpus.documents("image_url"), "picture"), (corpus.instructions(), "")):
        noun = noun or "instruction"
        for reason, count in frame.group_by("dropped_by").len().drop_nulls().iter_rows():
            said = reason.replace("error: ", "failed in ")
            said = said if said != reason else f"dropped by {reason}"
            assert f"{said} {count} {noun}{'' if count == 1 else 's'}" in titles
    assert re.search(r"guessable: blind_agreement = 1 \(>= 0\.9\)", found.text_content())
    assert "review_status = rejected (== rejected)" in found.text_content()


def test_errors_stand_with_their_cause(corpus: Corpus, page: str) -> None:
    found = section(page, "trouble")
    assert "caption" in found.text_content()
    assert "Unanswered" in found.text_content()
    failed = corpus.documents("image_url").filter(pl.col("dropped_by") == "error: caption")
    picture = corpus.picture(failed["image_url"][0])
    assert "Unanswered" in picture.errors["caption"]
    assert picture.instructions == []
    assert "Unanswered" in picture._repr_html_()


def test_a_sampled_report_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "MAX_UNITS", 1)
    page = report_html(open_corpus(str(folder / "store")))
    assert "Drawn from 4 pictures in 1 of 2 units" in page


def test_nothing_is_kept_of_broken_pictures(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"")
    run(scripted_job(tmp_path, "http://127.0.0.1:9", PRICES))
    page = report_html(open_corpus(str(tmp_path / "store")))
    assert_harmless(page)
    assert "The inputs hold no pictures." in page
    assert "No instruction was written" in page
    assert "empty body" in page


def test_rules_that_drop_everything_leave_a_report(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 1)
    everything = {"table": "instructions", "drop": "turn_count >= 1"}
    with ChatServer(answer) as server:
        run(scripted_job(tmp_path, server.url, PRICES, rules={"everything": everything}))
        corpus = open_corpus(str(tmp_path / "store"))
        page = report_html(corpus)
        assert_harmless(page)
        assert corpus.summary.images > 0 == corpus.summary.images_kept
        assert "No instruction was accepted." in page
        assert f"dropped by everything</span> {corpus.summary.images} instructions" in page
        small = {"table": "images", "drop": "image_width > 1"}
        run(scripted_job(tmp_path, server.url, PRICES, rules={"small": small}))
        page = report_html(open_corpus(str(tmp_path / "store")))
        assert_harmless(page)
        assert "No instruction was written about the pictures that were kept." in page
        assert "image_width = 320 (&gt; 1)" in page


def test_a_missed_quota_stands_in_the_report_of_the_run_that_failed(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", 1)
    quotas = {"per_lang": {"zh": 10}}
    with ChatServer(answer) as server:
        run(scripted_job(tmp_path, server.url, PRICES))
        accepted = open_corpus(str(tmp_path / "store")).summary.images_kept
        with pytest.raises(QuotasMissed):
            run(scripted_job(tmp_path, server.url, PRICES, target={"quotas": quotas}))
    corpus = open_corpus(str(tmp_path / "store"))
    assert "done" not in corpus.reference
    assert corpus.summary.images_kept == accepted > 0
    missed = section(report_html(corpus), "quotas").text_content()
    assert "lang zh has 0 rows, fewer than 10 (per_lang)" in missed


# --- One row in full ----------------------------------------------------------------------------


def test_a_row_knows_its_picture_and_every_verdict(corpus: Corpus) -> None:
    frame = corpus.instructions("instruction_id", "image_url", "caption_en")
    for name, url, caption, kept, dropped_by in frame.head(3).iter_rows():
        found = corpus.instruction(name)
        assert (found.instruction_id, found.kept, found.dropped_by) == (name, kept, dropped_by)
        assert (found.picture.url, found.picture.values["caption_en"]) == (url, caption)
        assert [v.rule for v in found.verdicts] == [
            rule["name"] for rule in corpus.instructions_view.rules
        ]
        assert name in {one.instruction_id for one in corpus.picture(url).instructions}
        assert_harmless(found._repr_html_())
    with pytest.raises(CorpusError, match="no instruction 'nix'"):
        corpus.instruction("nix")
    with pytest.raises(CorpusError, match="no picture 'nix'"):
        corpus.picture("nix")
    with pytest.raises(CorpusError, match="is over pictures, not documents"):
        corpus.kept(1)


def test_explain_tells_an_instruction_and_its_picture(
    folder: Path, corpus: Corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    job = str(folder / "pictures.yaml")
    frame = corpus.instructions("instruction_id", "image_url", kept=False)
    rule = frame["dropped_by"] == "guessable"
    name, url = frame.filter(rule).row(0)[:2]
    assert run_app(["explain", job, name]) == 0
    shown = capsys.readouterr().out
    assert "dropped by guessable" in shown
    assert "blind_agreement = 1 (>= 0.9)" in shown
    assert "the instruction was asked for with" in shown
    assert url in shown
    assert run_app(["explain", str(folder / "store"), url]) == 0
    shown = capsys.readouterr().out
    assert name in shown
    assert "fetch_status = ok" in shown
    assert "the description was asked for with" in shown
    assert run_app(["explain", job, "nix"]) == 2
    assert "no instruction and no picture 'nix'" in capsys.readouterr().err
    picture = (folder / "pictures" / "001.jpg").as_uri()
    assert run_app(["explain", job, picture]) == 0
    assert f"{ATTACK} [/x]" in capsys.readouterr().out.replace("\n", "")


def test_a_run_prints_two_funnels(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_app(["run", str(folder / "pictures.yaml")]) == 0
    shown = capsys.readouterr().out
    assert "pictures: 6 pictures from 1 inputs" in shown
    first, second = shown.split("about the 4 pictures that were kept")
    assert "fetched" in first
    assert "guessable" not in first
    assert "guessable" in second
    assert "fetched" not in second
    assert "of 6 pictures (67%)" in second
    assert "images" not in shown


# --- Plan and notebook --------------------------------------------------------------------------


def test_a_plan_times_cheap_stages_and_asks_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pictures(tmp_path / "pictures", 3)
    with ChatServer(answer) as server:
        job = write(tmp_path, scripted_job(tmp_path, server.url, PRICES))
        found = estimate(load_job(job), sample=2)
        assert run_app(["plan", job, "--sample", "2"]) == 0
        assert server.count() == 0
    stages = {stage.name: stage for stage in found.stages}
    assert (found.documents, found.units, found.sampled) == (3, 1, 2)
    assert {name for name, stage in stages.items() if stage.asks == "scripted"} == {
        *("caption", "generate", "expand", "blind", "consistency")
    }
    assert (stages["pixels"].ms_per_document or 0) > 0
    assert stages["caption"].ms_per_document is None
    shown = capsys.readouterr().out
    assert "asks scripted" in shown
    assert "3 pictures in" in shown
    assert not (tmp_path / "store").exists()


def test_the_notebook_runs_and_carries_no_output(folder: Path, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
    variables = {
        "OMNILOOM_CORPUS": str(folder / "store"),
        "PYTHONPATH": str(ROOT),
        "IPYTHONDIR": str(tmp_path),
    }
    with environment(variables):
        NotebookClient(notebook, timeout=120).execute()
    shown = json.dumps(notebook.cells)
    assert "guessable" in shown
    assert "data:image" in shown
    assert "usd_per_accepted" in shown
