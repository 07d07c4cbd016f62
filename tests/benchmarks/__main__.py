"""Run benchmarks: `python -m tests.benchmarks [NAME ...]`, or `make bench`, `make bench ONLY=NAME`.

Figures go to build/bench.json, beside those of benchmarks that were not run. A NAME may be the
start of several. With `--scale 0.1` page and kill counts shrink, for a trial. The exit code is 1
if a goal does not hold.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable

from tests.benchmarks.classify import classify_text_fasttext, classify_text_linear
from tests.benchmarks.clip import clip_conse, clip_vit_b_32, clip_vit_l_14
from tests.benchmarks.dedup_scale import dedup_scale
from tests.benchmarks.engine import engine_memory, engine_overhead
from tests.benchmarks.filters import decontamination_throughput, pii_clean, pii_dense
from tests.benchmarks.image_fetch import image_fetch_speedup
from tests.benchmarks.images import (
    image_measures_large,
    image_measures_small,
    image_near_duplicates,
)
from tests.benchmarks.instruction_runs import instructions_local, rerun_instructions_threshold
from tests.benchmarks.instructions import instruction_exports, qa_import
from tests.benchmarks.kills import (
    kill_test_images,
    kill_test_instructions,
    kill_test_local,
    kill_test_ray,
    kill_test_s3_export,
)
from tests.benchmarks.language import language_throughput
from tests.benchmarks.llm_client import (
    kill_test_llm,
    llm_client_cached,
    llm_client_cached_schema,
    llm_client_wall,
)
from tests.benchmarks.minhash import minhash_recall, minhash_throughput
from tests.benchmarks.record import Entry, Options, merge_result, print_results, read_results, say
from tests.benchmarks.rerun import rerun_nothing, rerun_threshold, rerun_threshold_dedup
from tests.benchmarks.review import review_decisions, review_reading
from tests.benchmarks.s3_upload import s3_upload
from tests.benchmarks.safety import detect_faces, detect_nsfw, detect_text, read_text
from tests.benchmarks.startup import cli_help, import_pipelines
from tests.benchmarks.text_rules import text_rules_speedup, text_rules_throughput
from tests.benchmarks.throughput import (
    extraction_speedup,
    extraction_throughput,
    feedback_rules_throughput,
)

BENCHMARKS: dict[str, Callable[[Options], Entry]] = {
    benchmark.__name__: benchmark
    for benchmark in (
        cli_help,
        import_pipelines,
        rerun_nothing,
        rerun_threshold,
        rerun_threshold_dedup,
        rerun_instructions_threshold,
        extraction_speedup,
        extraction_throughput,
        language_throughput,
        text_rules_throughput,
        minhash_throughput,
        minhash_recall,
        dedup_scale,
        pii_clean,
        pii_dense,
        decontamination_throughput,
        classify_text_linear,
        classify_text_fasttext,
        image_measures_small,
        image_measures_large,
        image_near_duplicates,
        clip_conse,
        clip_vit_b_32,
        clip_vit_l_14,
        detect_nsfw,
        detect_faces,
        detect_text,
        read_text,
        text_rules_speedup,
        feedback_rules_throughput,
        image_fetch_speedup,
        instruction_exports,
        qa_import,
        instructions_local,
        engine_overhead,
        engine_memory,
        kill_test_local,
        kill_test_images,
        kill_test_instructions,
        kill_test_ray,
        kill_test_s3_export,
        s3_upload,
        review_decisions,
        review_reading,
        llm_client_wall,
        llm_client_cached,
        llm_client_cached_schema,
        kill_test_llm,
    )
}


def main() -> int:
    """Run what was asked for; 1 if a goal does not hold."""
    options = _parse()
    chosen = _chosen(options.names)
    for name in chosen:
        say(f"{name} ...")
        entry = BENCHMARKS[name](Options(options.scale, options.seed, options.device))
        merge_result(name, entry, options.scale)
    print_results(chosen)
    results = read_results()
    return 0 if all(results[name]["holds"] for name in chosen) else 1


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full size")
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 32), help="of the moments of kills"
    )
    parser.add_argument("--device", default="auto", help="where models run: auto, cpu or cuda")
    return parser.parse_args()


def _chosen(names: list[str]) -> list[str]:
    """The benchmarks that are named or start with a name; all without names."""
    for name in names:
        if not any(known.startswith(name) for known in BENCHMARKS):
            raise SystemExit(f"no benchmark '{name}'; there are: {', '.join(BENCHMARKS)}")
    wanted = tuple(names) or ("",)
    return [known for known in BENCHMARKS if known.startswith(wanted)]


if __name__ == "__main__":
    sys.exit(main())
