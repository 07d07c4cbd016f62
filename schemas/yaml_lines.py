"""YAML with line numbers, so that an error can say where a value stands.

YAML is read by the rules of version 1.2 where they differ from PyYAML's: only `true` and `false`
are booleans, so that `on: local` and `[en, no]` mean what they say.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from schemas.errors import JobError, Problem

Path_ = tuple[str | int, ...]
Lines = dict[Path_, int]


def located(
    file: str, lines: Lines, path: Path_, message: str, fix: str, value: object = None
) -> Problem:
    """A problem with the line of `path`, or of the nearest enclosing field that stands there."""
    line = next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), None)
    shown = None if value is None else repr(value) if isinstance(value, str) else str(value)
    return Problem(dotted(path) or "job", message, fix, shown, file, line)


def dotted(path: Path_) -> str:
    """`('inputs', 0, 'warc')` as `inputs[0].warc`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return "".join(parts).removeprefix(".")


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader with YAML 1.2 booleans."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:bool"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def read_yaml(text: str, file: str) -> tuple[Any, Lines]:
    """The data of a YAML text, and the line of each of its fields.

    Raises:
        JobError: the text is not YAML, or a key stands twice.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise JobError([_malformed(error, file)]) from None
    try:
        root = loader.get_single_node()
        lines: Lines = {}
        problems: list[Problem] = []
        if root is not None:
            _walk(root, (), lines, problems, file)
        if problems:
            raise JobError(problems)
        return (loader.construct_document(root) if root is not None else None), lines
    except (yaml.YAMLError, RecursionError) as error:
        raise JobError([_malformed(error, file)]) from None
    finally:
        loader.dispose()


def _malformed(error: Exception, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    said = getattr(error, "problem", None) or getattr(error, "reason", None) or "nested too deep"
    fix = "check indentation, quotes and brackets up to this line"
    return Problem("file", f"not YAML: {said}", fix, None, file, mark.line + 1 if mark else 1)


def _walk(node: yaml.Node, path: Path_, lines: Lines, problems: list[Problem], file: str) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            if inner in lines:
                message = f"stands twice; first on line {lines[inner]}"
                line = key.start_mark.line + 1
                problems.append(Problem(dotted(inner), message, "keep one", None, file, line))
            lines[inner] = key.start_mark.line + 1
            _walk(value, inner, lines, problems, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _walk(item, (*path, index), lines, problems, file)
