"""Review: the log, what comes of decisions, who gets which row, figures, and the operator."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from operators.review_decisions import (
    Decision,
    Return,
    Reviews,
    digest,
    read_reviews,
    resolve,
)
from operators.review_outcome import ReviewOutcome
from pipelines.agreement import cohens_kappa, krippendorffs_alpha, percent_agreement
from pipelines.cost import CostFigures, cost_figures, cost_lines
from pipelines.review_figures import Effort, effort, figures
from pipelines.review_log import InMemory, ReviewLog, file_name
from pipelines.review_queue import (
    NotAllowed,
    Quota,
    ReviewItem,
    ReviewPlan,
    ReviewQueue,
    check_written,
    review_item,
    sampled,
)
from pipelines.review_report import agreement_line, print_review, review_chart
from schemas.errors import InputError
from tests.review_site import SHOWN, plain, turns
from tests.support import ROOT


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def decision(
    name: str = "row", reviewer: str = "Ann", action: str = "accept", **more: Any
) -> Decision:
    counter[reviewer, name] += 1
    fields: dict[str, Any] = {
        "entry": f"{reviewer} {name} {counter[reviewer, name]}",
        "time": f"2026-01-01T00:00:{counter.total():06d}",
        "reviewer": reviewer,
        "instruction_id": name,
        "action": action,
    }
    return Decision.model_validate(fields | more)


counter: Counter[tuple[str, str]] = Counter()


def edited(reviewer: str, answer: str) -> Decision:
    return decision(reviewer=reviewer, action="edit", turns=turns(("q", answer)), options=())


class Review:
    """A queue in memory, and short words for what people do in it."""

    def __init__(
        self, rows: int | list[ReviewItem], plan: ReviewPlan, folder: Path | None = None
    ) -> None:
        self.clock = Clock()
        self.log = ReviewLog(folder) if folder else InMemory(Reviews())
        found = list(map(plain, range(rows))) if isinstance(rows, int) else rows
        self.queue = ReviewQueue(found, plan, self.log, self.clock)
        self.made = 0

    def next(self, reviewer: str, have: list[str] | None = None) -> str | None:
        if have is not None:
            self.queue.hold(reviewer, have)
        found = self.queue.next(reviewer)
        return found.instruction_id if found else None

    def decide(self, reviewer: str, name: str, action: Any = "accept", **more: Any) -> None:
        self.made += 1
        self.clock.now += 1
        given: dict[str, Any] = {"seconds": 1.0, "time": f"2026-01-01T00:00:{self.made:06d}"} | more
        if action == "reject":
            given.setdefault("reason", "wrong")
        self.queue.decide(reviewer, f"entry-{self.made}", name, action, **given)

    def undo(self, reviewer: str) -> str | None:
        self.made += 1
        time = f"2026-01-01T00:00:{self.made:06d}"
        found = self.queue.undo(reviewer, f"entry-{self.made}", time)
        return found.instruction_id if found else None

    def all_by(self, reviewer: str, action: str = "accept") -> list[str]:
        done = []
        while name := self.next(reviewer):
            self.decide(reviewer, name, action)
            done.append(name)
        return done


ONCE = ReviewPlan(second_opinion_share=0, recheck_share=0)


# --- The log ------------------------------------------------------------------------------------


def a_log(folder: Path) -> tuple[Path, list[Decision]]:
    lines = [
        decision("a", action="accept", seconds=1.5),
        decision("b", action="reject", reason="wrong"),
        decision("c", action="edit", turns=turns(("颜色？", "红\n色")), options=("甲", "\r乙")),
        decision("b", action="undo"),
    ]
    with ReviewLog(folder) as log:
        assert all(map(log.add, lines))
    return folder / file_name("Ann"), lines


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    _, lines = a_log(tmp_path)
    assert read_reviews(tmp_path).decisions == lines


@given(cut=st.integers(0, 1000))
@settings(deadline=None, max_examples=60)
def test_any_beginning_of_a_file_is_readable_and_can_be_gone_on_with(
    cut: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    path, lines = a_log(folder)
    whole = path.read_bytes()
    path.write_bytes(whole[: cut % (len(whole) + 1)])
    kept = path.read_bytes().count(b"\n")
    before = digest(folder)
    assert read_reviews(folder).decisions == lines[:kept]
    more = decision("d")
    with ReviewLog(folder) as log:
        assert log.reviews.decisions == lines[:kept]
        assert digest(folder) == before
        log.add(more)
    assert read_reviews(folder).decisions == [*lines[:kept], more]
    assert digest(folder) != before


def test_a_process_that_is_killed_loses_nothing_that_it_confirmed(tmp_path: Path) -> None:
    program = (
        "import os, sys\n"
        "from tests.test_review import decision\n"
        "from pipelines.review_log import ReviewLog\n"
        "log = ReviewLog(sys.argv[1])\n"
        "for number in range(50): log.add(decision(str(number)))\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, check=False)
    assert ended.returncode == -9
    with ReviewLog(tmp_path) as log:
        assert [d.instruction_id for d in log.reviews.decisions] == [*map(str, range(50))]


def test_the_same_entry_counts_once(tmp_path: Path) -> None:
    line = decision()
    with ReviewLog(tmp_path) as log:
        assert log.add(line)
        assert not log.add(line)
    with ReviewLog(tmp_path) as log:
        assert not log.add(line)
        assert len(log.reviews.decisions) == 1


def test_a_folder_is_open_once(tmp_path: Path) -> None:
    with ReviewLog(tmp_path), pytest.raises(InputError, match="another `omniloom review`"):
        ReviewLog(tmp_path)
    ReviewLog(tmp_path).close()


def test_a_line_that_is_no_decision_is_named(tmp_path: Path) -> None:
    path, _ = a_log(tmp_path)
    path.write_bytes(path.read_bytes().replace(b'"reject"', b'"rejct"'))
    with pytest.raises(InputError, match=rf"{path.name}:2: action: .*'accept', 'edit'"):
        read_reviews(tmp_path)
    with pytest.raises(InputError, match="fix: "):
        ReviewLog(tmp_path)
    a_log(tmp_path / "other")  # the failed one let its folder go


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file/log"):
        ReviewLog(tmp_path / "file" / "log")


@pytest.mark.parametrize("name", ["../../etc/passwd", "Ann", "ann", "李雷", "a/b\\c", "." * 40])
def test_a_reviewers_name_cannot_lead_out_of_the_folder(name: str, tmp_path: Path) -> None:
    with ReviewLog(tmp_path / "log") as log:
        log.add(decision(reviewer=name))
    assert [path.name for path in tmp_path.iterdir()] == ["log"]
    assert (tmp_path / "log" / file_name(name)).is_file()


def test_names_that_differ_have_files_that_differ() -> None:
    names = ["Ann", "ann", "a n n", "李雷", "韩梅梅", "ann "]
    assert len({file_name(name) for name in names}) == len(names)


def test_a_clock_set_back_does_not_undo_what_came_after_the_undo(tmp_path: Path) -> None:
    with ReviewLog(tmp_path) as log:
        for hour, action in ((3, "accept"), (3, "undo"), (1, "reject")):
            log.add(decision(action=action, time=f"2026-01-01T0{hour}:00:00"))
    outcome = read_reviews(tmp_path).outcome("row")
    assert outcome is not None
    assert outcome.status == "rejected"


# --- What becomes of a row ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("opinions", "status", "answer"),
    [
        ([], "pending", None),
        ([decision()], "accepted", None),
        ([decision(action="reject")], "rejected", None),
        ([edited("Ann", "x")], "edited", "x"),
        ([decision(), decision(reviewer="Bob", action="reject")], "disputed", None),
        ([edited("Ann", "x"), decision(reviewer="Bob", action="reject")], "disputed", None),
        ([edited("Ann", "x"), decision(reviewer="Bob")], "edited", "x"),
        ([decision(), edited("Bob", "x")], "edited", "x"),
        ([decision(), edited("Bob", "x"), decision(reviewer="Cy")], "accepted", None),
        ([edited("Ann", "x"), edited("Bob", "y")], "edited", "y"),
        ([edited("Ann", "x"), edited("Bob", "y"), edited("Cy", "x")], "edited", "x"),
        ([decision(action="reject"), decision(reviewer="Bob"), edited("Cy", "z")], "edited", "z"),
        ([decision(action="reject"), edited("B", "x"), decision(reviewer="C", action="reject")],
         "rejected", None),
    ],
)  # fmt: skip
def test_what_becomes_of_a_row(opinions: list[Decision], status: str, answer: str | None) -> None:
    outcome = resolve(opinions)
    assert (outcome.status, outcome.turns and outcome.turns[0].answer) == (status, answer)
    assert outcome.count == len(opinions)


def test_the_latest_decision_of_a_reviewer_counts_and_an_undo_takes_it_back() -> None:
    reviews = Reviews()
    outcome = reviews.outcome("row")
    assert outcome is None
    expected = [("accept", "accepted"), ("reject", "rejected"), ("undo", "pending"),
                ("skip", "pending"), ("accept", "accepted"), ("manual", "accepted")]  # fmt: skip
    for action, status in expected:
        reviews.add(decision(action=action, seconds=2))
        outcome = reviews.outcome("row")
        assert outcome is not None
        assert outcome.status == status
    assert outcome is not None
    assert outcome.seconds == 10  # what was written by hand is no review
    assert reviews.rows["Ann"] == 1
    assert reviews.spent["Ann"] == 10


# --- Sampling -----------------------------------------------------------------------------------


def ids(found: list[ReviewItem]) -> list[str]:
    return [item.instruction_id for item in found]


def test_the_same_rows_are_picked_in_any_order_and_with_more_rows_around() -> None:
    rows = list(map(plain, range(300)))
    plan = ReviewPlan(share=0.3)
    picked = ids(sampled(rows, plan))
    assert picked == ids(sampled(rows[::-1], plan)) == ids(sampled([*rows, *rows], plan))
    assert 60 < len(picked) < 120
    more = ids(sampled([*rows, *map(plain, range(300, 600))], plan))
    assert [name for name in more if name in picked] == picked
    assert set(picked) < set(ids(sampled(rows, ReviewPlan(share=0.5))))
    assert set(picked) != set(ids(sampled(rows, ReviewPlan(share=0.3, seed=1))))


def test_shares_and_counts_are_of_each_domain_and_kind() -> None:
    rows = list(map(plain, range(200)))
    quotas = (Quota(domain="ocr", count=7), Quota(kind="short_vqa", share=0.0))
    cells = Counter(item.domain for item in sampled(rows, ReviewPlan(quotas=quotas)))
    assert cells == {"ocr": 7}
    assert len(sampled(rows, ReviewPlan(count=5))) == 10
    tiny = sampled(rows[:2], ReviewPlan(share=1e-9))
    assert sorted(ids(tiny)) == ["plain0", "plain1"]  # no domain is left out altogether


def test_a_misspelt_plan_is_refused() -> None:
    with pytest.raises(ValidationError, match="sahre"):
        ReviewPlan.model_validate({"sahre": 1})
    with pytest.raises(ValidationError, match="multiple_choice"):
        Quota.model_validate({"kind": "choice"})


def test_a_row_of_the_table_is_an_item() -> None:
    row = {
        "instruction_id": "x",
        "instruction_kind": "judgement",
        "instruction_domain": "ocr",
        "instruction_lang": "zh",
        "turns": [{"question": "q", "answer": "是"}],
        "options": [],
        "caption_zh": "猫",
        "image_alt": None,
    }
    item = review_item(row, lambda: b"bytes")
    assert (item.turns, item.captions, item.picture()) == (
        turns(("q", "是")),
        (("caption_zh", "猫"),),
        b"bytes",
    )


# --- Who gets which row -------------------------------------------------------------------------


def test_two_reviewers_never_hold_the_same_row() -> None:
    review = Review(10, ONCE)
    held = [review.next(name) for name in ("Ann", "Bob") * 5]
    assert sorted(filter(None, held)) == sorted(review.queue.items)
    assert review.next("Cy") is None


def test_a_page_that_died_gives_its_rows_back_after_the_lease() -> None:
    review = Review(2, ONCE)
    first, second = review.next("Ann"), review.next("Ann")
    assert first
    assert second
    assert review.next("Bob", []) is None
    review.clock.now += 400
    review.queue.hold("Ann", [first])  # a sign of life for one row; the other is handed back
    assert review.next("Bob", []) == second
    review.clock.now += 599
    assert review.next("Cy", []) is None
    review.clock.now += 2
    assert review.next("Cy", []) == first
    # What Ann decides in the end is not lost; it is one more opinion.
    review.decide("Cy", first)
    review.decide("Ann", first, "reject")
    outcome = review.queue.reviews.outcome(first)
    assert outcome is not None
    assert outcome.status == "disputed"


def test_a_page_that_closes_gives_its_rows_back_at_once() -> None:
    review = Review(1, ONCE)
    name = review.next("Ann")
    assert name
    review.queue.release("Bob", [name])  # not Bob's
    assert review.next("Bob", []) is None
    review.queue.release("Ann", [name])
    assert review.next("Bob", []) == name


def test_a_page_that_has_not_heard_yet_does_not_hold_what_it_decided() -> None:
    review = Review(1, ReviewPlan(second_opinion_share=1, recheck_share=0))
    name = review.next("Ann")
    assert name
    review.decide("Ann", name)
    review.queue.hold("Ann", [name])  # asked before the decision was answered
    assert review.next("Bob", []) == name


def test_everybody_gets_each_row_at_most_once_and_all_get_what_the_plan_says() -> None:
    plan = ReviewPlan(second_opinion_share=0.3, recheck_share=0.2, batch_rows=25)
    review = Review(100, plan)
    done: dict[str, list[str]] = {"Ann": [], "Bob": [], "Cy": []}
    for turn in range(1000):
        reviewer = list(done)[turn % 3]
        if name := review.next(reviewer):
            review.decide(reviewer, name)
            done[reviewer].append(name)
    assert all(len(set(names)) == len(names) for names in done.values())
    counts = Counter(len(review.queue.reviews.opinions(name)) for name in review.queue.items)
    assert set(counts) == {1, 2}
    roles = Counter(d.role for d in review.queue.reviews.decisions)
    assert roles["first"] == 100
    assert roles["recheck"] == 4 * 5
    assert 10 < roles["second"] < 40
    assert review.queue.waiting.total() == 0


def test_a_dispute_goes_to_a_third_person() -> None:
    review = Review(1, ReviewPlan(second_opinion_share=1, recheck_share=0))
    for reviewer, action in (("Ann", "accept"), ("Bob", "reject"), ("Cy", "reject")):
        name = review.next(reviewer)
        assert name
        review.decide(reviewer, name, action)
        assert review.next(reviewer) is None
    outcome = review.queue.reviews.outcome("plain0")
    assert outcome is not None
    assert (outcome.status, outcome.count) == ("rejected", 3)
    assert [d.role for d in review.queue.reviews.decisions] == ["first", "second", "third"]
    assert review.next("Di") is None


def test_a_skipped_row_goes_to_others_and_comes_back_when_asked_for() -> None:
    review = Review(1, ONCE)
    review.decide("Ann", "plain0", "skip")
    assert review.next("Ann") is None
    assert review.queue.skipped("Ann") == ["plain0"]
    assert review.queue.skipped("Bob") == []
    review.queue.take_skips_back("Ann", "entry-back", "2026-01-02")
    assert review.next("Ann") == "plain0"


def test_undo_goes_back_one_decision_at_a_time() -> None:
    review = Review(3, ONCE)
    first, second = "plain0", "plain1"
    review.decide("Ann", first)
    review.decide("Bob", "plain2")
    review.decide("Ann", second, "reject")
    assert [review.undo("Ann"), review.undo("Ann"), review.undo("Ann")] == [second, first, None]
    assert review.queue.waiting["none"] == 2
    assert review.queue.reviews.outcome("plain2").status == "accepted"  # type: ignore[union-attr]


def test_an_undo_that_is_sent_twice_takes_one_decision_back() -> None:
    review = Review(2, ONCE)
    review.decide("Ann", "plain0")
    review.decide("Ann", "plain1")
    for _ in range(2):
        found = review.queue.undo("Ann", "entry-undo", "2026-01-02")
        assert found is not None
        assert found.instruction_id == "plain1"
    assert review.queue.reviews.rows["Ann"] == 1


def test_a_line_that_is_sent_again_after_its_row_went_is_no_trouble(tmp_path: Path) -> None:
    review = Review(1, ONCE, tmp_path)
    review.decide("Ann", "plain0")
    review.undo("Ann")
    assert isinstance(review.log, ReviewLog)
    review.log.close()
    later = Review([plain(7)], ONCE, tmp_path)
    later.queue.decide("Ann", "entry-1", "plain0", "accept", seconds=1, time="2026")
    assert later.queue.undo("Ann", "entry-2", "2026") is None
    assert len(later.queue.reviews.decisions) == 2


def test_a_batch_with_too_many_disagreements_is_returned_and_reviewed_again(tmp_path: Path) -> None:
    plan = ReviewPlan(
        second_opinion_share=0,
        recheck_share=0.2,
        batch_rows=10,
        max_disagreement=0.4,
        max_returns=1,
    )
    review = Review(20, plan, tmp_path)
    first_batch = review.queue.batches[0]
    for name in review.queue.items:
        review.decide("Ann", name, "accept")
    rechecks = review.all_by("Bob", "reject")
    assert len(rechecks) == 2 * 2 + 20  # both batches' rechecks, then all rows afresh
    returns = review.queue.reviews.returns
    assert [(r.batch, r.rechecked, r.disagreed) for r in returns] == [(0, 2, 2), (1, 2, 2)]
    assert set(returns[0].ids) == set(first_batch)
    # Ann's opinions count no more, Bob's of the new round do; a batch is not returned for ever.
    assert all(review.queue.reviews.outcome(n).status == "rejected" for n in review.queue.items)  # type: ignore[union-attr]
    review.all_by("Ann", "accept")
    assert len(review.queue.reviews.returns) == 2
    # The same log says the same after a crash.
    assert isinstance(review.log, ReviewLog)
    review.log.close()
    again = read_reviews(tmp_path)
    assert [again.outcome(n) for n in first_batch] == [
        review.queue.reviews.outcome(n) for n in first_batch
    ]
    assert max(map(again.round, first_batch)) == 1


def test_a_batch_within_the_limit_passes() -> None:
    plan = ReviewPlan(second_opinion_share=0, recheck_share=1, batch_rows=10, max_disagreement=0.1)
    review = Review(10, plan)
    review.all_by("Ann")
    name = review.next("Bob")
    assert name
    review.decide("Bob", name, "reject")
    review.all_by("Bob")
    told = review.queue.rechecks(0)
    assert (told.done, told.waiting, told.disagreed, told.share) == (10, 0, 1, 0.1)
    assert review.queue.reviews.returns == []


def test_decisions_outlive_new_rows_and_a_change_of_their_order(tmp_path: Path) -> None:
    rows = list(map(plain, range(30)))
    first = Review(rows, ONCE, tmp_path)
    done = [first.next("Ann") for _ in range(10)]
    for name in filter(None, done):
        first.decide("Ann", name, "reject")
    assert isinstance(first.log, ReviewLog)
    first.log.close()
    # Twenty of the rows were generated again, with others among them; ten are gone.
    later = Review([*map(plain, range(100, 130)), *rows[::-1][:20]], ONCE, tmp_path)
    kept = {item.instruction_id for item in rows[10:]} & {*done}
    assert later.queue.waiting["none"] == 50 - len(kept)
    assert not kept & set(later.all_by("Ann"))
    assert later.queue.reviews.outcome(str(done[0])) is not None


def test_time_is_not_believed_beyond_what_has_passed() -> None:
    review = Review(2, ONCE)
    name = review.next("Ann")
    assert name
    review.clock.now += 10
    review.decide("Ann", name, seconds=1e9)
    assert review.queue.reviews.decisions[-1].seconds == 11
    review.decide("Ann", "plain0" if name == "plain1" else "plain1", seconds=1e9)
    assert review.queue.reviews.decisions[-1].seconds == 3600


def test_a_manual_row_is_about_a_picture_that_the_reviewer_has_not_seen() -> None:
    review = Review(3, ONCE)
    review.decide("Ann", "plain0")
    seen = set()
    while item := review.queue.manual("Ann"):
        written = {"turns": turns(("q?", "a")), "options": (), "seconds": 30.0}
        review.decide("Ann", item.instruction_id, "manual", **written)
        seen.add(item.instruction_id)
    assert seen == {"plain1", "plain2"}
    assert review.queue.waiting["none"] == 2  # it decides nothing about the row
    spent = effort(review.queue.reviews)
    assert (spent.manual_rows, spent.manual_seconds_per_row) == (2, 30)
    assert spent.review_seconds == 1


CHOICE, CHINESE, ROUNDS = SHOWN


@pytest.mark.parametrize(
    ("item", "said", "options", "problem"),
    [
        (CHOICE, [("q", "E")], "wxyz", "one of A, B, C, D"),
        (CHOICE, [("q", "A")], "wxyw", "no two the same"),
        (CHOICE, [("q", "A")], ["w", " ", "y", "z"], "none empty"),
        (CHINESE, [("q", "yes")], "", "是 or 否"),
        (CHINESE, [("q", "是")], "ab", "only multiple choice"),
        (CHINESE, [(" ", "是")], "", "is empty"),
        (CHINESE, [("q", "是"), ("q", "是")], "", "1 question"),
        (ROUNDS, [], "", "is empty"),
    ],
)
def test_an_edit_that_makes_no_row_is_refused(
    item: ReviewItem, said: list[tuple[str, str]], options: list[str], problem: str
) -> None:
    with pytest.raises(NotAllowed, match=problem):
        check_written(item, turns(*said), options)


def test_an_edit_is_trimmed_and_may_change_the_number_of_rounds() -> None:
    written, _ = check_written(ROUNDS, turns((" a ", "b\n"), ("c", "d"), ("e", "f")), ())
    assert written == turns(("a", "b"), ("c", "d"), ("e", "f"))


def test_an_edit_without_a_change_accepts() -> None:
    review = Review(list(SHOWN), ONCE)
    review.decide("Ann", "choice", "edit", turns=CHOICE.turns, options=CHOICE.options)
    assert review.queue.reviews.decisions[-1].action == "accept"


def test_a_rejection_needs_a_known_reason_and_a_row_that_is_there() -> None:
    review = Review(1, ONCE)
    with pytest.raises(NotAllowed, match="wrong, not_seen"):
        review.decide("Ann", "plain0", "reject", reason="because")
    with pytest.raises(NotAllowed, match="not under review"):
        review.decide("Ann", "elsewhere")


# --- Agreement ----------------------------------------------------------------------------------


def test_cohens_kappa_is_that_of_the_worked_example() -> None:
    # Two readers of 50 proposals: both yes 20, both no 15, only the first yes 5, only the second
    # 10.
    # Observed 0.7; by chance 0.5 * 0.6 + 0.5 * 0.4 = 0.5; (0.7 - 0.5) / (1 - 0.5) = 0.4.
    pairs = [("y", "y")] * 20 + [("n", "n")] * 15 + [("y", "n")] * 5 + [("n", "y")] * 10
    assert cohens_kappa(pairs) == pytest.approx(0.4)
    assert percent_agreement(pairs) == pytest.approx(0.7)


def test_krippendorffs_alpha_is_that_of_its_authors_example() -> None:
    # The nominal data of "Computing Krippendorff's alpha-reliability", section D: alpha = 0.743.
    coders = (
        "1 2 3 3 2 1 4 1 2 . . .",
        "1 2 3 3 2 2 4 1 2 5 . 3",
        ". 3 3 3 2 3 4 2 2 5 1 .",
        "1 2 3 3 2 4 4 1 2 5 1 .",
    )
    rows = zip(*(line.split() for line in coders), strict=True)
    labels = [[label for label in row if label != "."] for row in rows]
    assert krippendorffs_alpha(labels) == pytest.approx(0.743, abs=0.0005)


def test_agreement_of_nothing_and_of_one_label_is_undefined() -> None:
    assert percent_agreement([]) is None
    assert cohens_kappa([]) is None
    assert cohens_kappa([("a", "a")] * 3) is None
    assert krippendorffs_alpha([]) is None
    assert krippendorffs_alpha([["a"], ["b"]]) is None
    assert krippendorffs_alpha([["a", "a"], ["a", "a"]]) is None


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=2, max_size=2), min_size=1))
def test_alpha_and_kappa_are_one_only_where_all_agree(rows: list[list[str]]) -> None:
    for value in (krippendorffs_alpha(rows), cohens_kappa([(a, b) for a, b in rows])):
        if value is not None:
            assert value <= 1 + 1e-9
            assert (abs(value - 1) < 1e-9) == all(a == b for a, b in rows)


# --- Figures and cost ---------------------------------------------------------------------------


def reviewed() -> Review:
    """Ten rows that two people judged: Ann 6 accept, 4 reject; Bob differs on the last two."""
    review = Review(10, ReviewPlan(second_opinion_share=1, recheck_share=0))
    for number in range(10):
        name = f"plain{number}"
        review.decide("Ann", name, "accept" if number < 6 else "reject")
        review.decide("Bob", name, "accept" if number < 6 or number > 7 else "reject")
    return review


def test_figures_of_people_cells_and_agreement() -> None:
    found = figures(reviewed().queue)
    ann, bob = sorted(found.reviewers, key=lambda one: one.name)
    assert (ann.rows, ann.decisions["accept"], ann.decisions["reject"]) == (10, 6, 4)
    assert (bob.decisions["accept"], bob.decisions["reject"]) == (8, 2)
    assert ann.agreement == bob.agreement == found.agreement == pytest.approx(0.8)
    assert ann.median_seconds == 1
    assert ann.rows_per_hour == 3600
    # By chance 0.6 * 0.8 + 0.4 * 0.2 = 0.56.
    assert found.pairs[0].kappa == pytest.approx((0.8 - 0.56) / 0.44)
    # Coincidences: 20 labels, 14 accept and 6 reject, 4 of them in pairs that differ:
    # 1 - 19 * 4 / (20² - 14² - 6²).
    assert found.alpha == pytest.approx(1 - 19 * 4 / 168)
    cells = {cell.domain: cell for cell in found.cells}
    assert cells["ocr"].statuses == {"accepted": 3, "rejected": 1, "disputed": 1}
    assert cells["landmark"].accept_rate == pytest.approx(3 / 4)
    json.dumps(found.as_json())


def test_the_tables_and_the_chart_show_the_figures(capsys: pytest.CaptureFixture[str]) -> None:
    review = reviewed()
    review.decide("[red]Cy\x1b", "plain0")
    found = figures(review.queue)
    print_review(found)
    said = capsys.readouterr().out
    assert "[red]Cy\ufffd" in said
    assert agreement_line(found) in " ".join(said.split("\n"))
    assert "returned: none" in said
    chart = review_chart(found)
    assert "75.0% kept" in chart
    assert chart.count("ol-fill-kept") == 2
    assert "Review: 8 of 10 rows decided" in chart


def test_an_untouched_review_has_figures_too(capsys: pytest.CaptureFixture[str]) -> None:
    found = figures(Review(4, ONCE).queue)
    print_review(found)
    assert "nobody has reviewed yet" in capsys.readouterr().out
    assert found.agreement is None
    assert "0 of 4" in review_chart(found)


def test_the_cost_ratio_is_its_formula() -> None:
    # $3 and two hours at $15 for 110 rows: $0.30 a row. By hand 6 minutes: $1.50 a row.
    found = CostFigures({"caption": 2.0, "generate": 1.0}, 7200, 110, 15.0, 360.0)
    assert found.usd_per_row == pytest.approx(0.3)
    assert found.manual_usd_per_row == pytest.approx(1.5)
    assert found.ratio == pytest.approx(0.2)
    said = "\n".join(cost_lines(found))
    for part in ("$3.00 (caption $2.00, generate $1.00)", "120.0 minutes, $30.00", "110 rows",
                 "6.0 minutes (as given)", "0.200 (1/5.0 of fully manual)"):  # fmt: skip
        assert part in said


def test_the_time_by_hand_is_measured_unless_it_is_given() -> None:
    spent = Effort(review_seconds=60, manual_seconds=400, manual_rows=4)
    measured = cost_figures({}, spent, 10, 15)
    assert (measured.manual_seconds_per_row, measured.manual_rows) == (100, 4)
    assert "measured on 4 rows; write more" in "\n".join(cost_lines(measured))
    given = cost_figures({}, spent, 10, 15, manual_minutes=2)
    assert (given.manual_seconds_per_row, given.manual_rows) == (120, 0)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (CostFigures({}, 60, 0, 15, 60), "no row was accepted"),
        (CostFigures({}, 60, 5, 15), "key m"),
        (CostFigures({"a": 1.0}, 60, 5, 0, 60), "an hour costs nothing"),
    ],
)
def test_a_ratio_that_is_not_known_says_why(found: CostFigures, why: str) -> None:
    assert found.ratio is None
    assert why in cost_lines(found)[-1]


# --- The operator -------------------------------------------------------------------------------


def test_the_operator_gives_each_row_what_people_decided(tmp_path: Path) -> None:
    with ReviewLog(tmp_path) as log:
        log.add(decision("kept", seconds=4))
        log.add(decision("changed", action="edit", seconds=5,
                         turns=turns(("问？", "B")), options=("一", "二")))  # fmt: skip
        log.add(decision("gone", action="reject"))
        log.add(decision("back", seconds=3))
        log.add(Return(entry="r", time="9", batch=0, ids=("back",), rechecked=1, disagreed=1))
    operator = ReviewOutcome(folder=str(tmp_path))
    names = ["kept", "changed", "gone", "back", "unseen"]
    batch = pa.table({"instruction_id": names}, schema=operator.reads)
    rows = operator.measure(batch, operator.setup()).to_pylist()
    assert [row["review_status"] for row in rows] == [
        "accepted", "edited", "rejected", "pending", None,
    ]  # fmt: skip
    assert rows[1]["reviewed_turns"] == [{"question": "问？", "answer": "B"}]
    assert rows[1]["reviewed_options"] == ["一", "二"]
    assert [row["review_seconds"] for row in rows] == [4, 5, 0, 3, None]
    assert [row["review_count"] for row in rows] == [1, 1, 1, 0, None]
    assert rows[0]["reviewed_turns"] is None


def test_new_decisions_change_the_operators_provenance_and_nothing_else(tmp_path: Path) -> None:
    log = tmp_path / "log"
    operator = ReviewOutcome(folder=str(log))
    empty = operator.provenance()
    assert operator.setup().decisions == []
    a_log(log)
    first = operator.provenance()
    assert first != empty
    assert operator.provenance() == first
    (tmp_path / "copy").mkdir()
    for path in log.glob("*.jsonl"):
        (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    moved = ReviewOutcome(folder=str(tmp_path / "copy"))
    assert (moved.provenance(), moved.deciding_config()) == (first, operator.deciding_config())


def test_the_page_needs_no_more_than_its_own_files() -> None:
    page = ROOT / "pipelines" / "review_page"
    text = "".join(path.read_text("utf-8") for path in page.iterdir() if path.suffix != ".svg")
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    assert "innerHTML" not in text
