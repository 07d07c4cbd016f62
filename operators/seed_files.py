"""Reads the files of seeds and prompts: several folders as one, every mistake at once.

A folder holds `domains.yaml`, `placeholders.yaml`, `caption.yaml`, `answer_prompts.yaml`,
`prompts.yaml` and `seeds/DOMAIN.yaml`, or some of them. What a later folder names anew is added,
what it names again is replaced, and a name with nothing behind it is taken away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from operators.seed_models import (
    Data,
    Domain,
    Name,
    Paraphrases,
    Placeholder,
    Prompts,
    Slug,
    Templates,
    Words,
)
from schemas.errors import InputError, JobError, Problem, SeedError, did_you_mean
from schemas.yaml_lines import Lines, Path_, located, read_yaml

_ENTRIES: dict[str, TypeAdapter[Any]] = {
    "domains": TypeAdapter(dict[Name, Domain]),
    "placeholders": TypeAdapter(dict[str, Placeholder]),
    "caption": TypeAdapter(dict[Slug, Words]),
    "answer_prompts": TypeAdapter(dict[str, Paraphrases]),
}
"""Files of named things, each of which is right or wrong by itself."""
_WHOLE: dict[str, TypeAdapter[Any]] = {"prompts": TypeAdapter(Prompts)}
_SEEDS = "seeds/"
_TEMPLATES = TypeAdapter(Templates)
_DOCS = "see docs/seeds.md"


@dataclass
class Files:
    """What stands in the files of one or more folders, and where.

    A part is a file by its name without the ending: `domains`, `seeds/ocr`.
    """

    data: dict[str, Any] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    """The file of each part: of the last folder that has one."""
    lines: dict[str, dict[Path_, tuple[str, int]]] = field(default_factory=dict)
    """File and line of each field of each part."""
    problems: list[Problem] = field(default_factory=list)
    digest: str = ""

    def problem(
        self, part: str, path: Path_, message: str, fix: str, value: object = None
    ) -> Problem:
        """A problem of a field, with the file and line where it, or what holds it, stands."""
        known = self.lines.get(part, {})
        near = next((known[path[:n]] for n in range(len(path), 0, -1) if path[:n] in known), None)
        file, line = near or (self.paths.get(part, f"{part}.yaml"), 1)
        return located(file, {(): line}, path or (part,), message, fix, value)

    def read(self, folder: Path) -> None:
        """Takes the files of a folder over what is there.

        Raises:
            InputError: there is no such folder, or a file cannot be read.
        """
        if not folder.is_dir():
            raise InputError(f"seeds: there is no folder {folder}\n    fix: {_DOCS}")
        for path in sorted([*folder.glob("*.y*ml"), *folder.glob("seeds/*.y*ml")]):
            part = path.relative_to(folder).with_suffix("").as_posix()
            text = _text(path)
            self.digest = hashlib.sha256(f"{self.digest}\0{part}\0{text}".encode()).hexdigest()
            if part not in {*_ENTRIES, *_WHOLE} and not part.startswith(_SEEDS):
                fix = did_you_mean(part, [*_ENTRIES, *_WHOLE, "seeds/DOMAIN"])
                self.problems.append(Problem("file", "is no file of seeds", fix, None, str(path)))
                continue
            self.paths[part] = str(path)
            try:
                data, lines = read_yaml(text, str(path))
            except JobError as error:
                self.problems.extend(error.problems)
                continue
            self._take(part, str(path), {} if data is None else data, lines)

    def _take(self, part: str, file: str, data: Any, lines: Lines) -> None:
        if not isinstance(data, dict):
            message = f"a file of seeds is a mapping, not a {type(data).__name__}"
            self.problems.append(Problem(part, message, _DOCS, None, file, 1))
            return
        if part == "domains":  # a domain that is taken away takes its templates along
            for name in (name for name, value in data.items() if value is None):
                self.data.pop(f"{_SEEDS}{name}", None)
        self.data[part] = _over(self.data.get(part, {}), data)
        self.lines.setdefault(part, {}).update({p: (file, line) for p, line in lines.items() if p})

    def typed(self) -> dict[str, Any]:
        """Each part as its model; what has a mistake is left out and leaves problems."""
        found: dict[str, Any] = {}
        for part, data in self.data.items():
            if part in _ENTRIES:
                entries = [self._valid(part, _ENTRIES[part], {name: data[name]}) for name in data]
                found[part] = {k: v for entry in entries for k, v in (entry or {}).items()}
            elif (whole := self._valid(part, _WHOLE.get(part, _TEMPLATES), data)) is not None:
                found[part] = whole
        return found

    def _valid(self, part: str, adapter: TypeAdapter[Any], data: Any) -> Any:
        try:
            return adapter.validate_python(data)
        except ValidationError as error:
            self.problems.extend(self._complaints(part, error))
            return None

    def _complaints(self, part: str, error: ValidationError) -> Iterable[Problem]:
        for detail in error.errors(include_url=False):
            path = tuple(key for key in detail["loc"] if key != "[key]")
            said = str((detail.get("ctx") or {}).get("error", detail["msg"]))
            value = detail["input"] if isinstance(detail["input"], str | int | float) else None
            match detail["type"]:
                case "extra_forbidden":
                    known = sorted({name for model in _models() for name in model.model_fields})
                    said, fix, value = "no such field", did_you_mean(str(path[-1]), known), None
                case "missing":
                    said, fix = "is missing", f"add it; {_DOCS}"
                case "string_pattern_mismatch":
                    said = "a name has small letters and digits"
                    fix = "join words by '-' in slugs, by '_' in names of domains"
                case "model_type" | "dict_type":
                    said, fix = "is no mapping", f"write its fields below it; {_DOCS}"
                case _:
                    fix = _DOCS
            yield self.problem(part, path, said[:1].lower() + said[1:], fix, value)

    def refuse(self) -> None:
        """Raises what was found wrong.

        Raises:
            SeedError: there are problems; lists them all.
        """
        if self.problems:
            raise SeedError(self.problems)


def _models() -> list[type[Data]]:
    return [Domain, Words, Paraphrases, Placeholder, Prompts, Templates]


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text\n    fix: save it as UTF-8") from None


def _over(base: Any, over: Any) -> Any:
    """`over` laid on `base`: mappings are merged, all else is replaced, None takes away."""
    if not isinstance(base, dict) or not isinstance(over, dict):
        return over
    merged = base | {name: _over(base.get(name), value) for name, value in over.items()}
    return {name: value for name, value in merged.items() if value is not None}
