"""The command line. Heavy modules are imported by the command that needs them."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import OmniloomError, QuotasMissed

if TYPE_CHECKING:
    from pipelines.corpus import Corpus
    from pipelines.engine import RunResult
    from pipelines.jobfile import JobFile
    from pipelines.progress import Progress

_INTERRUPTED = 130

app = typer.Typer(
    name="omniloom",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help=(
        "Turns web archives into interleaved image-text corpora, and pictures into instructions "
        "about them.\n\n"
        "A job file says what is read, measured, kept and written. 'omniloom run' brings all of "
        "it up to date and computes only what is missing; run it again after a kill, an edit or "
        "a new input.\n\n"
        "Exit codes: 0 done, 1 the run failed, 2 the job or the command is wrong, 3 too many "
        "rows failed, 4 the budget for models is spent, 5 a target or quota is missed, 130 "
        "interrupted."
    ),
)

eval_app = typer.Typer(
    no_args_is_help=True,
    help="Measure the product on pages with gold, and a corpus against benchmarks.",
)
app.add_typer(eval_app, name="eval")

JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="job file, e.g. jobs/demo.yaml")]
CorpusArgument = Annotated[
    str, typer.Argument(metavar="CORPUS", help="job file, or the store that holds the corpus")
]
JobName = Annotated[
    str | None, typer.Option("--job", help="which job, where a store holds several")
]


@app.command()
def run(
    job: JobArgument,
    only: Annotated[
        str | None,
        typer.Option(
            metavar="STAGE",
            help="bring this stage up to date, with what it reads, and stop: no export",
        ),
    ] = None,
    restart_from: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="STAGE",
            help="compute this stage and all that hangs on it again, whatever is stored",
        ),
    ] = None,
    retry_errors: Annotated[
        bool,
        typer.Option("--retry-errors", help="try the rows again that ended in an error"),
    ] = False,
    on: Annotated[
        str | None, typer.Option(help="'local' or 'ray', in place of the job's 'on'")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=0, help="workers at once, in place of the job's")
    ] = None,
    report_: Annotated[
        bool, typer.Option("--report/--no-report", help="write report.html beside the corpus")
    ] = True,
) -> None:
    """Run a job to its end, computing only what is missing.

    After moving a threshold just run again: measures are reused, verdicts and shards follow.
    """
    from pipelines.engine import RunOptions, run_job

    jobfile = _load(job, on=on, workers=workers)
    options = RunOptions(only, restart_from, retry_errors)
    try:
        result = run_job(jobfile, options, _progress())
    except QuotasMissed:
        if report_:  # it shows what is too few
            _complain(f"report    {_report(jobfile, fresh=True)}")
        raise
    _print_run(result, stage=only)
    if report_ and not only:
        _say(f"report    {_report(jobfile, fresh=result.changed)}")


@app.command()
def plan(
    job: JobArgument,
    sample: Annotated[
        int, typer.Option(min=0, help="documents to time each stage on; 0: do not time")
    ] = 24,
    why_miss: Annotated[
        bool,
        typer.Option(
            "--why-miss",
            help="say instead what models would be asked that no kept answer covers, and why; "
            "nobody is asked",
        ),
    ] = False,
) -> None:
    """Check a job and show what a run would do: stages, columns, units to compute, seconds."""
    if why_miss:
        from pipelines.price import why_miss as misses
        from pipelines.tables import print_misses

        print_misses(misses(_load(job)))
        return
    from pipelines.estimate import estimate
    from pipelines.tables import print_estimate

    print_estimate(estimate(_load(job), sample))


@app.command()
def price(
    job: JobArgument,
    rows: Annotated[int, typer.Option(min=2, help="pictures of the pilot, about")] = 20,
) -> None:
    """Run a pilot of a few pictures, and say what asking models about all of them will cost.

    The pilot is paid for and is part of the job: 'omniloom run' does not ask for it again.
    """
    from pipelines.price import price as price_of
    from pipelines.tables import print_price

    print_price(price_of(_load(job), rows, _progress()))


@app.command()
def review(
    job: JobArgument,
    reviewer: Annotated[
        str | None, typer.Option(help="who reviews; default: the page asks")
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="on 127.0.0.1; 0: any that is free")
    ] = 0,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="open the page in a browser")
    ] = True,
    figures_: Annotated[
        bool,
        typer.Option("--figures", help="print agreement, reviewers and returned batches, and stop"),
    ] = False,
) -> None:
    """Serve a page on which people accept, edit or reject instructions, by keyboard.

    Which ones is said in the job's 'review'. Decisions are kept as they are made; run the job
    again to take them up. docs/review.md shows the page and its keys.
    """
    from pipelines.instruction_corpus import review_folder, review_items
    from pipelines.review_queue import ReviewPlan, ReviewQueue

    jobfile = _load(job)
    plan, folder = ReviewPlan.model_validate(jobfile.job.review), review_folder(jobfile)
    items = review_items(_open(job, None))
    if figures_:
        from operators.review_decisions import read_reviews
        from pipelines.review_figures import figures
        from pipelines.review_log import InMemory
        from pipelines.review_report import print_review

        print_review(figures(ReviewQueue(items, plan, InMemory(read_reviews(folder)))))
        return
    from pipelines.review_server import serve

    serve(items, plan, folder, reviewer, port, browser, _say)


@app.command()
def cost(
    job: JobArgument,
    wage: Annotated[float, typer.Option(min=0, help="US dollars of an hour of review")] = 15.0,
    manual_minutes: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="minutes that a row takes by hand; default: as the review page measured",
        ),
    ] = None,
) -> None:
    """What a job's instructions cost: models, reviewers, a row, and its ratio to manual work."""
    from operators.review_decisions import read_reviews
    from pipelines.cost import cost_figures, print_cost
    from pipelines.instruction_corpus import billed, review_folder
    from pipelines.review_figures import effort

    jobfile = _load(job)
    spent = effort(read_reviews(review_folder(jobfile)))
    accepted = _open(job, None).instructions("instruction_id", kept=True).height
    print_cost(cost_figures(billed(jobfile), spent, accepted, wage, manual_minutes))


@app.command()
def explain(
    corpus: CorpusArgument,
    document: Annotated[
        str,
        typer.Argument(
            metavar="DOC_ID|URL", help="which document; or an instruction_id, or a picture's URL"
        ),
    ],
    job: JobName = None,
) -> None:
    """Show every verdict on a document, picture or instruction: rule, value, threshold, stage."""
    found = _open(corpus, job)
    if found.makes_instructions:
        from pipelines.instruction_tables import print_explained

        print_explained(found, document)
        return
    from pipelines.tables import print_document

    for one in _require(found, document):
        print_document(one)


def _list_formats(wanted: bool) -> None:
    if wanted:
        from pipelines.tables import print_formats

        print_formats()
        raise typer.Exit


@app.command()
def export(
    job: JobArgument,
    to: Annotated[str, typer.Option(help="target folder or s3://bucket/prefix")],
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="one of those that --list shows")
    ] = "omnicorpus",
    variant: Annotated[
        str | None, typer.Option(help="kind of files, where the format has several")
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(help="urls: addresses alone; embedded: bytes in shards; beside: as files"),
    ] = None,
    order: Annotated[
        str | None,
        typer.Option(help="natural: as on the page; retrieval: images before their best text"),
    ] = None,
    shard_mb: Annotated[float, typer.Option(min=0.001, help="target size of a shard in MB")] = 256,
    row_group_rows: Annotated[
        int | None, typer.Option(min=1, help="rows in a Parquet row group")
    ] = None,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="make faces in images unrecognisable")
    ] = False,
    mask_pii: Annotated[
        bool, typer.Option("--mask-pii", help="replace personal data in the text by tags")
    ] = False,
    mask_kind: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="mask email, ip, phone or id only; may be given again"),
    ] = None,
    max_tokens: Annotated[
        int | None, typer.Option(help="internvl: tokens of a sample, images included")
    ] = None,
    max_tiles: Annotated[
        int | None, typer.Option(help="internvl: tiles of a sample's images")
    ] = None,
    captions: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SOURCE",
            help="pairs: caption, alt, similarity, adjacent; may be given again, best first",
        ),
    ] = None,
    min_similarity: Annotated[
        float | None, typer.Option(help="pairs: least similarity of a text chosen by it")
    ] = None,
    list_: Annotated[  # noqa: ARG001  # its callback does all
        bool,
        typer.Option(
            "--list", is_eager=True, callback=_list_formats, help="show all formats and stop"
        ),
    ] = False,
) -> None:
    """Export a job's kept documents once more: another format, another place.

    docs/exports.md shows what each format writes and what reads it.
    """
    from pipelines.engine import export_job
    from pipelines.jobfile import export_spec

    spec = export_spec(
        {
            "format": format_,
            "to": to,
            "variant": variant,
            "images": images,
            "order": order,
            "shard_mb": shard_mb,
            "row_group_rows": row_group_rows,
            "blur_faces": blur_faces,
            "mask_pii": mask_kind or mask_pii,
            "max_tokens": max_tokens,
            "max_tiles": max_tiles,
            "captions": captions or None,
            "min_similarity": min_similarity,
        }
    )
    _print_shards(export_job(_load(job), spec, _progress()))


@app.command()
def verify(
    target: Annotated[
        str, typer.Argument(metavar="TARGET", help="an export: folder or s3://bucket/prefix")
    ],
) -> None:
    """Read an export again and compare every file with the manifest: size and SHA-256.

    Names every file that is missing, damaged or not in the manifest; exits with 1 if there is one.
    """
    from pipelines.verify import verify as verify_export

    found = verify_export(target, _progress())
    for path, what in found.wrong.items():
        _say(f"wrong     {path}: {what}")
    verdict = f"{len(found.wrong)} wrong" if found.wrong else "all as they were written"
    _say(f"verified  {found.files} files, {found.size / 1e6:,.1f} MB: {verdict}")
    if found.wrong:
        raise typer.Exit(1)


@app.command()
def report(
    corpus: CorpusArgument,
    to: Annotated[
        str | None, typer.Option(help="where to write it; default: report.html in the store")
    ] = None,
    job: JobName = None,
) -> None:
    """Write the corpus's report: funnel, languages, histograms, documents kept and dropped."""
    from pipelines.report import write_report

    found = _open(corpus, job)
    _say(write_report(found, to or _report_path(found)))


@app.command()
def gc(
    store: Annotated[str, typer.Argument(metavar="STORE", help="folder or s3://bucket/prefix")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would be removed")
    ] = False,
    forget: Annotated[
        str | None, typer.Option(metavar="JOB", help="first drop this job's claim on its results")
    ] = None,
) -> None:
    """Remove from a store what no job refers to any more."""
    from pipelines.gc import collect

    removed = collect(store, dry_run=dry_run, forget=forget)
    total = sum(info.size for info in removed)
    verb = "would remove" if dry_run else "removed"
    for info in removed if dry_run else []:
        _say(info.path)
    _say(f"{verb} {len(removed)} files, {total / 1e6:,.1f} MB")


@app.command("train-classifier")
def train_classifier_(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="labelled texts: .parquet, .jsonl or .jsonl.gz")
    ],
    out: Annotated[
        str,
        typer.Option(
            metavar="FILE",
            help="the model; its ending says which: .ftz fastText, quantised; .bin fastText; "
            ".npz linear",
        ),
    ],
    text: Annotated[str, typer.Option(metavar="COLUMN", help="column of the texts")] = "text",
    label: Annotated[str, typer.Option(metavar="COLUMN", help="column of the labels")] = "label",
    group: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="keep rows of one group, such as a domain, together"),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="fasttext or linear; default: as the ending of --out says")
    ] = None,
    test_share: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="share of texts that are kept for the test")
    ] = 0.2,
    precision: Annotated[
        float,
        typer.Option(min=0.01, max=1, help="print the threshold at which this precision is had"),
    ] = 0.9,
    seed: Annotated[int, typer.Option(help="of the split and of the training")] = 0,
    epochs: Annotated[int, typer.Option(min=1, help="passes over the texts")] = 10,
    rate: Annotated[
        float | None,
        typer.Option(min=0.001, help="learning rate; default: 0.5 fastText, 2 linear"),
    ] = None,
    word_ngrams: Annotated[int, typer.Option(min=1, max=5, help="longest run of words")] = 2,
    sign_ngrams: Annotated[
        int, typer.Option(min=0, max=8, help="longest run of letters or signs")
    ] = 4,
) -> None:
    """Train a text classifier for 'classify_text' and measure it on texts held back.

    Prints precision, recall and F1 of each label, what was taken for what, and what each threshold
    gives. Writes the model and, beside it, FILE.json: the same figures, data and settings. The
    same data and options give the same model. docs/classifiers.md tells more.
    """
    from pipelines.train_classifier import Options, figure_lines, train_classifier

    options = Options(
        data, out, text, label, group, kind, test_share, precision, seed, epochs, rate,
        word_ngrams, sign_ngrams,
    )  # fmt: skip
    trained = train_classifier(options, _complain)
    for line in figure_lines(trained.figures, precision):
        _say(line)
    _say(f"model     {trained.model}")
    _say(f"card      {trained.card}")


@app.command()
def operators(
    name: Annotated[str | None, typer.Argument(help="show this one with its fields")] = None,
) -> None:
    """List operators, sources, rule fragments and export formats; with NAME, one in full."""
    from pipelines.tables import print_operator, print_operators

    print_operator(name) if name else print_operators()


@app.command()
def schema() -> None:
    """Print the JSON Schema of job files, for editors (see jobs/job.schema.json)."""
    from pipelines.jobschema import job_schema_text

    sys.stdout.write(job_schema_text())


@app.command()
def submit(
    job: JobArgument,
    address: Annotated[
        str, typer.Option(help="dashboard of the cluster's head, e.g. http://HEAD:8265")
    ],
    follow: Annotated[
        bool, typer.Option("--follow", help="show the job's log and wait for its end")
    ] = False,
) -> None:
    """Send a job to a Ray cluster through Ray Jobs. Paths in it must be visible from there."""
    from pipelines.backend import require_ray

    require_ray()
    from pipelines.ray_backend import submit_job

    raise typer.Exit(submit_job(_load(job), address, follow=follow, say=_say))


@eval_app.command()
def extraction(
    gold: Annotated[
        str, typer.Option(metavar="DIR", help="folder of gold sets, NAME.jsonl[.xz|.gz|.zst]")
    ],
    extractor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=(
                "interleaved, trafilatura, trafilatura-fast, resiliparse, magic-html, "
                "readability-lxml, all-text or module:function; may be given again. "
                "Default: interleaved and all peers that are installed"
            ),
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME", help="only this set; may be given again"),
    ] = None,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="where extraction.html is written")
    ] = "build/eval",
    json_: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="write all figures, page by page")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="only the first N pages of each set")
    ] = None,
) -> None:
    """Measure extractors on pages whose content is known: text, images, structure, CPU time.

    docs/evaluation.md says what gold looks like and what each figure means.
    """
    from pipelines.evaluate import evaluate
    from pipelines.evaluation_report import write_evaluation, write_figures
    from pipelines.tables import print_evaluation

    found = evaluate(gold, extractor or (), set_ or (), limit, _progress())
    print_evaluation(found)
    if found.left_out:
        _say(f"left out  {', '.join(found.left_out)}: not installed")
    _say(f"report    {write_evaluation(found, out)}")
    if json_:
        _say(f"figures   {write_figures(found, json_)}")


@eval_app.command()
def decontamination(corpus: CorpusArgument, job: JobName = None) -> None:
    """Say which items of benchmarks stand in how many documents of a corpus."""
    from pipelines.tables import print_contamination

    print_contamination(_open(corpus, job))


@eval_app.command()
def rules(
    fragment: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help="rules to measure, may be given again; default: omnicorpus-en, omnicorpus-zh",
        ),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="labelled documents, .jsonl or .parquet; default: the bundled sample",
        ),
    ] = None,
    max_false_positives: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            metavar="SHARE",
            help="exit with 1 if any rule drops more than this share of what is good",
        ),
    ] = None,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="write a report")
    ] = None,
    json_: Annotated[
        str | None, typer.Option("--json", metavar="FILE", help="write all figures")
    ] = None,
) -> None:
    """Measure rules on labelled documents: what each drops, drops wrongly, and misses.

    'hits' is the share of judged rows that a rule drops, 'wrong' the share of good ones (with the
    95 % interval), 'missed' the share of those labelled with its category that it leaves.
    docs/feedback-rules.md says what a sample looks like.
    """
    from pipelines.evaluate_rules import evaluate_rules
    from pipelines.rules_report import print_rules, write_rules_json, write_rules_report

    found = evaluate_rules(fragment or (), sample, _progress())
    print_rules(found)
    if html:
        _say(f"report    {write_rules_report(found, html)}")
    if json_:
        _say(f"figures   {write_rules_json(found, json_)}")
    wrong = [] if max_false_positives is None else found.above(max_false_positives)
    for figures in wrong:
        _complain(
            f"{figures.rule}: {figures.false_positives.rate:.1%} of the good are dropped, "
            f"more than {max_false_positives:.1%}"
        )
    if wrong:
        raise typer.Exit(1)


def main() -> None:
    """Entry point: errors become one message and an exit code."""
    sys.exit(run_app(sys.argv[1:]))


def run_app(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    try:
        code = int(app(args=arguments, prog_name="omniloom", standalone_mode=False) or 0)
    except (typer.Abort, KeyboardInterrupt):
        code = _INTERRUPTED
    except OmniloomError as error:
        _complain(str(error))
        if error.exit_code != 2:
            _resume(arguments)
        return error.exit_code
    except Exception as error:
        if type(error).__module__.startswith(("click", "typer")) and hasattr(
            error, "format_message"
        ):
            _complain(error.format_message())
            return 2
        raise
    if code == _INTERRUPTED:
        unfinished = {"eval": "report", "train-classifier": "model"}  # of use when complete only
        nothing = unfinished.get(arguments[0] if arguments else "")
        rest = f"No {nothing} was written." if nothing else "Everything finished so far is kept."
        _complain(f"interrupted. {rest}")
        _resume(arguments)
    return code


def _resume(arguments: list[str]) -> None:
    """After a failure: the command that goes on where this one stopped."""
    if arguments[:1] in (["run"], ["export"]):
        import shlex

        # What --from forgets is forgotten at once: a plain run goes on from there.
        again = shlex.join(arguments)
        again = re.sub(r" --from[ =]\S+", "", again)
        _complain(f"resume with: omniloom {again}")


def _load(path: str, *, on: str | None = None, workers: int | None = None) -> JobFile:
    from pipelines.jobfile import load_job, override

    jobfile = override(load_job(path), on=on, workers=workers)
    if jobfile.problems:
        from pipelines.plan import compile_plan

        compile_plan(jobfile)  # raises with these and all other problems
    return jobfile


def _open(path: str, job: str | None) -> Corpus:
    """The corpus of a job file, or of a store."""
    from pipelines.corpus import open_corpus

    if path.endswith((".yaml", ".yml")):
        jobfile = _load(path)
        return open_corpus(jobfile.job.store, job or jobfile.name)
    return open_corpus(path, job)


def _require(corpus: Corpus, key: str) -> list[Any]:
    return corpus.find(key) or [corpus.document(key)]


def _progress() -> Progress:
    from pipelines.progress import BarProgress, LineProgress

    if sys.stderr.isatty():
        return BarProgress()
    return LineProgress(_complain)


def _report(jobfile: JobFile, *, fresh: bool) -> str:
    from operators.files import Files
    from pipelines.corpus import open_corpus
    from pipelines.report import write_report

    corpus = open_corpus(jobfile.job.store, jobfile.name)
    path = _report_path(corpus)
    folder, _, name = path.rpartition("/")
    return path if not fresh and Files(folder).exists(name) else write_report(corpus, path)


def _report_path(corpus: Corpus) -> str:
    return corpus.store.files.uri(f"reports/{corpus.job}.html")


def _print_run(result: RunResult, *, stage: str | None) -> None:
    from pipelines.tables import print_funnel

    print_funnel(result, stage=stage)
    _print_shards(result)


def _print_shards(result: RunResult) -> None:
    for target, shards in result.shards.items():
        _say(f"shards    {len(shards)} in {target}")
        for shard in shards[:8]:
            _say(f"          {shard}")
        if len(shards) > 8:
            _say(f"          … and {len(shards) - 8} more")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _complain(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    main()
