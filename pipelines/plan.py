"""The planner: a job file becomes a typed plan, or a list of everything that is wrong with it."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from operators import registry
from operators.base import CorpusOperator, Operator, Resources
from operators.coverage import Quotas
from operators.export import FORMATS, format_of
from operators.files import is_remote
from operators.masking import SPANS
from operators.rules import LANGUAGE_VERSION, ExpressionError, Rule, parse_rule
from operators.shown import ImageVerdicts, ShownImages, shows_images
from operators.sources import Source
from pipelines.corpus_pictures import CorpusPictures
from pipelines.instructions import INSTRUCTION_RECIPE
from pipelines.interleaved import INTERLEAVED
from pipelines.jobfile import JobFile, Path_, dotted, problems_of, read_yaml
from pipelines.recipe import Recipe, Step
from pipelines.review_queue import ReviewPlan
from schemas.columns import column, seen_by_documents
from schemas.errors import InputError, JobError, Problem, did_you_mean
from schemas.job import ExportSpec, RuleSpec
from schemas.tables import DOCUMENTS, IMAGES, INSTRUCTIONS, Table

RECIPES: dict[str, Recipe] = {recipe.name: recipe for recipe in (INTERLEAVED, INSTRUCTION_RECIPE)}
SOURCES = registry.SOURCES | {CorpusPictures.name: CorpusPictures}
STORE_FOLDERS = (
    "inputs",
    "units",
    "images",
    "stages",
    "groups",
    "verdicts",
    "replies",
    "reviews",
    "jobs",
    "reports",
    "running",
)
_IMAGE_RULES = {"shown": "image_document_count >= 1", "fetched": "fetch_status == 'ok'"}
"""What an image is kept for in every job: rules by name."""
RULE_FRAGMENTS = Path(__file__).parent / "rules"
PAYLOADS = {DOCUMENTS.name: "html", IMAGES.name: "archived_image"}
"""What a row's bytes are called; they are read from the inputs when a stage needs them."""


@dataclass(frozen=True)
class Stage:
    """An operator at its place in the plan. `fingerprint` names its results in the store."""

    name: str
    operator: Operator[Any]
    fingerprint: str
    resources: Resources
    origins: dict[str, str]
    """For each column that it reads, the stage (or table) that the column comes from."""

    @property
    def folder(self) -> str:
        """Where its results are in the store."""
        return f"stages/{self.name}-{self.fingerprint}"


@dataclass(frozen=True)
class PlacedRule:
    """A rule, and the index of the stage after which everything it reads is there.

    -1: before the first stage, from what a document is born with.
    """

    rule: Rule
    after: int


@dataclass(frozen=True)
class Input:
    """One input of the job and the source that reads it."""

    source: Source
    uri: str


@dataclass(frozen=True)
class Plan:
    """What a job computes, ready to run: inputs, stages in order, rules where they decide.

    A plan is over one table, and `inner` is the plan over the rows that are born of its rows. For
    documents these are images, where stages or rules ask for any; they have their turn before the
    stage that joins them (`ImageVerdicts`). For pictures they are instructions, which come last.
    """

    jobfile: JobFile
    recipe: Recipe
    inputs: tuple[Input, ...]
    stages: tuple[Stage, ...]
    rules: tuple[PlacedRule, ...]
    table: Table = DOCUMENTS
    inner: Plan | None = None
    quotas: Quotas | None = None
    """What the accepted instructions must have."""

    @cached_property
    def fingerprint(self) -> str:
        """Of all stages and rules together: names the verdicts in the store."""
        return fingerprint(
            LANGUAGE_VERSION,
            [stage.fingerprint for stage in self.stages],
            [(r.rule.name, r.rule.table, r.rule.text, r.after) for r in self.rules],
            *([self.inner.fingerprint] if self.inner and self.joined is not None else []),
        )

    def of(self, table: str) -> Plan:
        """The plan over `table`: this one, or its inner one."""
        plan = self if table == self.table.name else self.inner
        assert plan is not None  # tasks over a table come from plans that have it
        return plan

    @cached_property
    def every_stage(self) -> tuple[Stage, ...]:
        """The stages over all tables, in the order in which they run."""
        if self.inner is None:
            return self.stages
        joined = len(self.stages) if self.joined is None else self.joined
        return (*self.stages[:joined], *self.inner.stages, *self.stages[joined:])

    @cached_property
    def every_rule(self) -> tuple[PlacedRule, ...]:
        """The rules over all tables."""
        rules = self.inner.rules if self.inner else ()
        return (*self.rules, *rules)

    @cached_property
    def joined(self) -> int | None:
        """Position of the stage before which the images have their turn."""
        kinds = [isinstance(stage.operator, ImageVerdicts) for stage in self.stages]
        return kinds.index(True) if True in kinds else None

    @cached_property
    def joins(self) -> frozenset[str]:
        """Stages over documents that read images' columns."""
        found = self.inner.stages if self.inner else ()
        of_images = {stage.name for stage in found}
        return frozenset(s.name for s in self.stages if of_images & set(s.origins.values()))

    @cached_property
    def barriers(self) -> tuple[int, ...]:
        """Positions of the stages that look at the whole corpus, or at its images."""
        return tuple(
            index
            for index, stage in enumerate(self.stages)
            if isinstance(stage.operator, CorpusOperator | ImageVerdicts)
        )

    def upto(self, index: int) -> Plan:
        """The plan of the stages before stage `index`, with the rules that they decide."""
        if index == len(self.stages):
            return self
        rules = tuple(placed for placed in self.rules if placed.after < index)
        shown = self.joined is not None and self.joined < index
        inner = self.inner if shown else None
        return replace(self, stages=self.stages[:index], rules=rules, inner=inner)

    def column_paths(self, unit: str, files: Mapping[str, str]) -> dict[str, str]:
        """Where each column of a unit is: born with it, or in the file of its stage in `files`."""
        paths = dict.fromkeys(self.table.born.names, f"units/{unit}.parquet")
        for stage in self.stages:
            path = f"{stage.folder}/{files[stage.name]}.parquet"
            paths |= dict.fromkeys(stage.operator.writes.names, path)
        return paths

    @property
    def folder(self) -> str:
        """Where the verdicts are in the store."""
        return f"verdicts/{self.fingerprint}"

    def stage_index(self, name: str) -> int:
        """Position of the stage called `name`.

        Raises:
            InputError: there is no such stage.
        """
        names = [stage.name for stage in self.stages]
        if name not in names:
            known = [stage.name for stage in self.every_stage]
            raise InputError(f"no stage '{name}'; {did_you_mean(name, known)}")
        return names.index(name)

    def table_of(self, name: str) -> str:
        """The table that the stage called `name` is over; the plan's own without such a stage."""
        inside = self.inner and name in {stage.name for stage in self.inner.stages}
        return self.inner.table.name if self.inner and inside else self.table.name

    def dependants(self, name: str) -> set[str]:
        """The stage called `name` and all stages that read, directly or not, what it writes."""
        plan = self.of(self.table_of(name))
        found = {plan.stages[plan.stage_index(name)].name}
        for stage in self.every_stage:
            if found & set(stage.origins.values()):
                found.add(stage.name)
        return found

    def rules_after(self, index: int) -> list[Rule]:
        """The rules that are decided once stage `index` is done, in order."""
        return [placed.rule for placed in self.rules if placed.after == index]


def fingerprint(*parts: object) -> str:
    """Twelve hexadecimal digits that stand for `parts` (JSON-able values)."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def source_fingerprint(source: Source, unit_rows: int) -> str:
    """Names the unit layout of a source: its kind, version, config and unit size."""
    config = source.model_dump(exclude={"path"})
    return fingerprint(source.table.version, source.name, source.version, config, unit_rows)


def compile_plan(jobfile: JobFile) -> Plan:
    """Check the whole job and resolve every name in it.

    Raises:
        JobError: all problems at once.
    """
    planner = _Planner(jobfile)
    plan = planner.plan()
    if planner.problems:
        raise JobError(planner.problems)
    return plan


def normal_place(target: str) -> str:
    """A folder's address in one spelling."""
    if is_remote(target):
        return target.rstrip("/")
    return os.path.normpath(Path(target).expanduser().absolute())


def beside_store(store: str, folder: str) -> str:
    """A local folder for what goes with a store: in it, or in the user's cache for a bucket."""
    if is_remote(store):
        return str(Path.home() / ".cache" / "omniloom" / fingerprint(normal_place(store)) / folder)
    return f"{normal_place(store)}/{folder}"


class _Planner:
    """Collects problems while it resolves a job, so that the user sees all of them at once."""

    def __init__(self, jobfile: JobFile) -> None:
        self.jobfile = jobfile
        self.job = jobfile.job
        self.problems: list[Problem] = list(jobfile.problems)

    def add(self, path: Path_, message: str, fix: str, value: object = None) -> None:
        self.problems.append(self.jobfile.problem(path, message, fix, value))

    def plan(self) -> Plan:
        recipe = self._recipe()
        inputs = tuple(self._inputs(recipe))
        self._exports()
        for name in {*self.job.stages, *self.job.on.resources} - {s.name for s in recipe.steps}:
            place = "stages" if name in self.job.stages else "on.resources"
            fix = did_you_mean(name, [step.name for step in recipe.steps])
            path = ("stages", name) if place == "stages" else ("on", "resources", name)
            self.add(path, f"recipe '{recipe.name}' has no such stage", fix)
        parsed = list(self._parsed(self._specs()))
        steps = self._steps(recipe, parsed)
        parsed = [*self._own_rules(steps, parsed), *parsed]
        by_table = self._stages(recipe, steps)
        plans = {
            table.name: Plan(self.jobfile, recipe, inputs, by_table[table.name], (), table)
            for table in (recipe.table, recipe.inner)
        }
        rules = self._rules(plans, parsed)
        plans = {table: replace(plan, rules=rules[table]) for table, plan in plans.items()}
        inner = plans[recipe.inner.name] if by_table[recipe.inner.name] else None
        self._review()
        plan = replace(plans[recipe.table.name], inner=inner, quotas=self._quotas(recipe))
        self._exported(plan)
        return plan

    def _recipe(self) -> Recipe:
        """The job's recipe; for an unknown one the nearest, so that the rest can be checked."""
        name = self.job.pipeline
        if name in RECIPES:
            return RECIPES[name]
        self.add(("pipeline",), "no such recipe", did_you_mean(name, RECIPES), name)
        return RECIPES[difflib.get_close_matches(name, RECIPES, 1, 0.0)[0]]

    def _quotas(self, recipe: Recipe) -> Quotas | None:
        """What the job's target asks for."""
        target = self.job.target
        if target is None:
            return None
        if recipe.inner != INSTRUCTIONS:
            message = f"recipe '{recipe.name}' makes no instructions"
            self.add(("target",), message, "remove the field, or use recipe 'instructions'")
        try:
            return Quotas.model_validate(target.quotas)
        except ValidationError as error:
            path: Path_ = ("target", "quotas")
            found = problems_of(error, Quotas, self.jobfile.file, self.jobfile.lines, path)
            self.problems.extend(found)
            return None

    def _review(self) -> None:
        """The job's sampling plan is one."""
        try:
            ReviewPlan.model_validate(self.job.review)
        except ValidationError as error:
            found = problems_of(
                error, ReviewPlan, self.jobfile.file, self.jobfile.lines, ("review",)
            )
            self.problems.extend(found)

    # Inputs and exports

    def _inputs(self, recipe: Recipe) -> Iterator[Input]:
        seen: set[str] = set()
        for index, spec in enumerate(self.job.inputs):
            path: Path_ = ("inputs", index)
            kinds = [key for key in spec if key in SOURCES]
            known = [name for name, kind in SOURCES.items() if kind.table == recipe.table]
            if len(kinds) != 1:
                wrong = next((key for key in spec if key not in SOURCES), "")
                fix = f"name one of {', '.join(sorted(known))}, e.g. {{warc: pages/*.warc.gz}}"
                hint = did_you_mean(wrong, known) if wrong and not kinds else fix
                self.add(path, "an input names exactly one source", hint, wrong or " + ".join(spec))
                continue
            if SOURCES[kinds[0]].table != recipe.table:
                message = f"recipe '{recipe.name}' does not read such inputs"
                self.add(path, message, f"name one of {', '.join(sorted(known))}", kinds[0])
                continue
            for found in self._source_inputs(spec, kinds[0], path):
                if found.uri not in seen:
                    seen.add(found.uri)
                    yield found

    def _source_inputs(self, spec: dict[str, Any], kind: str, path: Path_) -> Iterator[Input]:
        model = SOURCES[kind]
        config = {"path" if key == kind else key: value for key, value in spec.items()}
        try:
            source = model.model_validate(config)
        except ValidationError as error:
            found = problems_of(error, model, self.jobfile.file, self.jobfile.lines, path)
            self.problems.extend(found)
            return
        try:
            for uri in source.inputs():
                yield Input(source, uri)
        except InputError as error:
            fix = "check the path; it is relative to the folder where omniloom runs"
            self.add((*path, kind), str(error), fix, source.path)

    def _exports(self) -> None:
        store = normal_place(self.job.store)
        taken = {f"{store}/{folder}/": "the store's own files" for folder in STORE_FOLDERS}
        self._store(store)
        for index, export in enumerate(self.job.export):
            path: Path_ = ("export", index)
            if export.format not in FORMATS:
                fix = did_you_mean(export.format, FORMATS)
                self.add((*path, "format"), "no such format", fix, export.format)
            else:
                for field, message, fix in FORMATS[export.format].mistakes(export):
                    self.add((*path, field), message, fix, getattr(export, field))
            target = normal_place(export.to) + "/"
            clash = next((p for p in taken if p.startswith(target) or target.startswith(p)), None)
            if clash or target == f"{store}/":
                message = f"overlaps with {taken.get(clash or '', 'the store itself')}"
                self.add((*path, "to"), message, "give each export its own folder", export.to)
            taken[target] = f"export[{index}]"

    def _store(self, store: str) -> None:
        scheme = re.match(r"(\w+)://", self.job.store)
        if "\0" in store or (scheme and scheme.group(1) != "s3"):
            fix = "give a folder, or s3://bucket/prefix"
            self.add(("store",), "not a place that omniloom can write to", fix, self.job.store)

    def _exported(self, plan: Plan) -> None:
        """What an export cannot do without is measured."""
        for index, export in enumerate(self.job.export):
            if export.format not in FORMATS or list(FORMATS[export.format].mistakes(export)):
                continue
            measured = rows_schema(plan, FORMATS[export.format].table).names
            made = DOCUMENTS if plan.table == DOCUMENTS else INSTRUCTIONS
            if FORMATS[export.format].table != made.name:
                fitting = [name for name, kind in FORMATS.items() if kind.table == made.name]
                message = f"it is no format of {made.name}, which recipe '{plan.recipe.name}' makes"
                fix = f"use {' or '.join(map(repr, fitting))}"
                self.add(("export", index, "format"), message, fix, export.format)
                continue
            missing: dict[str, list[str]] = {}
            for name, field in format_of(export).needs().items():
                if name not in measured:
                    missing.setdefault(field, []).append(name)
            for field, names in missing.items():
                listed = ", ".join(f"'{name}'" for name in names)
                message = f"needs {listed}, which recipe '{plan.recipe.name}' does not measure"
                fix = "choose another recipe or value; docs/exports.md tells what formats need"
                self.add(("export", index, field), message, fix, getattr(export, field))

    # Stages

    def _steps(self, recipe: Recipe, rules: list[Rule]) -> list[tuple[Step, Operator[Any]]]:
        """The steps to run, with their operators: those on demand where something asks."""
        all_steps = [(step, self._operator(step)) for step in recipe.steps]
        wanted = {name for rule in rules for name in rule.expression.columns}
        for export in self.job.export:
            wanted |= set(format_of(export).needs()) if export.format in FORMATS else set()
            wanted |= {SPANS} if export.mask_pii else set()
        named = {s.name for s, operator in all_steps if operator.table == IMAGES.name}
        images = bool(named & set(self.job.stages))
        steps: list[tuple[Step, Operator[Any]]] = []
        for step, operator in reversed(all_steps):
            if isinstance(operator, ImageVerdicts | ShownImages):
                asked = images = images or shows_images(wanted)
            else:
                asked = not step.on_demand or bool(wanted & set(operator.writes.names))
            if asked or step.name in self.job.stages:
                steps.append((step, operator))
                wanted |= set(operator.needs().names) - operator.optional
        return steps[::-1]

    def _stages(
        self, recipe: Recipe, steps: list[tuple[Step, Operator[Any]]]
    ) -> dict[str, tuple[Stage, ...]]:
        """The stages over each table."""
        tables = (recipe.table, recipe.inner)
        stages: dict[str, list[Stage]] = {table.name: [] for table in tables}
        produced = {table.name: dict.fromkeys(table.born.names, table.name) for table in tables}
        for name in PAYLOADS.keys() & produced.keys():
            produced[name][PAYLOADS[name]] = name
        identity = {table.name: fingerprint(table.name, table.version) for table in tables}
        for step, operator in steps:
            if operator.table == INSTRUCTIONS.name:  # they see all that is known of their picture
                produced[operator.table] = produced[recipe.table.name] | produced[operator.table]
            known = produced[operator.table]
            unknown = [name for name in operator.needs().names if name not in known]
            missing = [name for name in unknown if name not in operator.optional]
            if missing:
                path: Path_ = ("stages", step.name)
                fix = f"measured before this stage are: {', '.join(known)}"
                self.add(path, f"nothing before this stage measures '{missing[0]}'", fix)
                continue
            origins = {n: known[n] for n in operator.needs().names if n not in unknown}
            stage = self._stage(step, operator, origins, identity)
            stages[operator.table].append(stage)
            identity[step.name] = stage.fingerprint
            known |= dict.fromkeys(operator.writes.names, step.name)
            if isinstance(operator, ImageVerdicts):  # documents see the images' columns from here
                produced[DOCUMENTS.name] = produced[IMAGES.name] | known
        return {table: tuple(found) for table, found in stages.items()}

    def _operator(self, step: Step) -> Operator[Any]:
        """The stage's operator; with its default config where the job's is wrong."""
        config = dict(self.job.stages.get(step.name) or {})
        chosen = config.pop(step.choose, step.default) if step.choose else step.default
        path: Path_ = ("stages", step.name)
        if not isinstance(chosen, str) or chosen not in step.operators:
            fix = did_you_mean(str(chosen), step.operators)
            self.add((*path, str(step.choose)), "no such operator for this stage", fix, chosen)
            return step.operators[step.default]()
        model = step.operators[chosen]
        for field, folder in model.store_folders.items():
            config.setdefault(field, beside_store(self.job.store, folder))
        try:
            return model.model_validate(config)
        except ValidationError as error:
            found = problems_of(error, model, self.jobfile.file, self.jobfile.lines, path)
            self.problems.extend(found)
            return model()

    def _stage(
        self, step: Step, operator: Operator[Any], origins: dict[str, str], identity: dict[str, str]
    ) -> Stage:
        reads = {name: identity[origin] for name, origin in origins.items()}
        version, config = operator.version, operator.deciding_config()
        name = fingerprint(operator.name, version, config, operator.provenance(), reads)
        requested = self.job.on.resources.get(step.name)
        resources = operator.resources
        if requested is not None:
            try:
                resources = Resources(**requested)
            except (TypeError, ValueError) as error:
                path: Path_ = ("on", "resources", step.name)
                self.add(path, str(error), "give {cpus: N, gpus: N}, zero or more")
        return Stage(step.name, operator, name, resources, origins)

    # Rules

    def _own_rules(
        self, steps: list[tuple[Step, Operator[Any]]], rules: list[Rule]
    ) -> Iterator[Rule]:
        """The rules that images are judged by in every job, but for those that the job restates."""
        measured = {name for _, operator in steps for name in operator.writes.names}
        for name, keep in _IMAGE_RULES.items():
            rule = parse_rule(name, "images", keep, None, "omniloom")
            if measured.issuperset(rule.expression.columns) and name not in {r.name for r in rules}:
                yield rule

    def _rules(
        self, plans: dict[str, Plan], rules: list[Rule]
    ) -> dict[str, tuple[PlacedRule, ...]]:
        """The rules over each table, in the order of the stages that decide them."""
        placed: dict[str, list[PlacedRule]] = {table: [] for table in plans}
        for rule in rules:
            table = DOCUMENTS.name if rule.table == "nodes" else rule.table
            if table not in plans:
                path: Path_ = ("rules", rule.name)
                message = f"recipe '{self.job.pipeline}' has no {rule.table} to judge"
                self.add(path, message, f"say 'table: {' or '.join(plans)}'", rule.table)
                continue
            plan = plans[table]
            index_of = dict.fromkeys(plan.table.born.names, -1)
            if table == INSTRUCTIONS.name:  # pictures are all measured when these are born
                outer = output_schema(next(iter(plans.values())))
                index_of = dict.fromkeys(outer.names, -1) | index_of
            for index, stage in enumerate(plan.stages):
                index_of |= dict.fromkeys(stage.operator.writes.names, index)
            placed[plan.table.name].append(PlacedRule(rule, self._place(rule, index_of)))
        return {
            table: tuple(sorted(found, key=lambda p: p.after)) for table, found in placed.items()
        }

    def _specs(self) -> dict[str, tuple[RuleSpec, str]]:
        """Rules by name: those of the fragments in order, then the job's own, which override."""
        specs: dict[str, tuple[RuleSpec, str]] = {}
        for index, fragment in enumerate(self.job.rules.use):
            known = [path.stem for path in RULE_FRAGMENTS.glob("*.yaml")]
            if fragment not in known:
                path: Path_ = ("rules", "use", index)
                self.add(path, "no such rule fragment", did_you_mean(fragment, known), fragment)
                continue
            specs |= {name: (spec, fragment) for name, spec in read_fragment(fragment).items()}
        for name, spec in (self.job.rules.__pydantic_extra__ or {}).items():
            if spec is not None:
                specs[name] = (spec, "job")
            elif specs.pop(name, None) is None:
                self.add(("rules", name), "no fragment in use has this rule", "remove the line")
        return specs

    def _parsed(self, specs: dict[str, tuple[RuleSpec, str]]) -> Iterator[Rule]:
        for name, (spec, origin) in specs.items():
            side = "keep" if spec.keep is not None else "drop"
            try:
                yield parse_rule(name, spec.table, spec.keep, spec.drop, origin)
            except ExpressionError as error:
                fix = "see docs/rules.md for the rule language"
                value = spec.keep if spec.keep is not None else spec.drop
                self.add(("rules", name, side), str(error), fix, value)

    def _place(self, rule: Rule, index_of: dict[str, int]) -> int:
        asked = [*rule.expression.columns, *(["nodes"] if rule.table == "nodes" else [])]
        missing = [name for name in asked if name not in index_of]
        for name in missing:
            path: Path_ = ("rules", rule.name, "keep" if rule.keeps else "drop")
            known = [n for n in index_of if column(n).level == column(name).level]
            fix = did_you_mean(name, known)
            self.add(path, f"no stage of this recipe measures '{name}'", fix, rule.expression.text)
        after = [index_of[name] for name in asked if name in index_of]
        return max(after, default=-1)


def exported_columns(plan: Plan, spec: ExportSpec) -> list[str]:
    """The columns that an export of the plan's rows reads: those it needs, those it takes."""
    chosen = format_of(spec)
    return chosen.columns(rows_schema(plan, chosen.table).names)


def rows_schema(plan: Plan, table: str) -> pa.Schema:
    """All columns of the rows of one of the plan's tables; instructions have their picture's too.

    Empty where the plan has no such table.
    """
    if table == plan.table.name:
        return output_schema(plan)
    if plan.inner is None or table != plan.inner.table.name:
        return pa.schema([])
    own = output_schema(plan.inner)
    seen = output_schema(plan) if plan.inner.table == INSTRUCTIONS else pa.schema([])
    return pa.schema([*own, *(item for item in seen if item.name not in own.names)])


def read_fragment(name: str) -> dict[str, RuleSpec]:
    """The rules of a ready-made fragment, in order."""
    path = RULE_FRAGMENTS / f"{name}.yaml"
    data, _ = read_yaml(path.read_text(encoding="utf-8"), dotted(("rules", path.name)))
    return {rule: RuleSpec.model_validate(spec) for rule, spec in data.items()}


def output_schema(plan: Plan) -> pa.Schema:
    """All columns of the plan's rows: born, then those of each stage, then those of images."""
    fields = list(plan.table.born)
    for stage in plan.stages:
        fields.extend(stage.operator.writes)
    if plan.joined is not None and plan.inner is not None:
        known = {field.name for field in fields}
        names = [name for name in output_schema(plan.inner).names if name not in known]
        fields.extend(seen_by_documents(*(n for n in names if column(n).level == "image")))
    return pa.schema(fields)
