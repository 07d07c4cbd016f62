"""The engine and its recipes. Public door for notebooks and scripts: `open_corpus`, `run_job`.

Importing this package is cheap: neither Ray nor a model library is loaded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.corpus import Corpus, Document, open_corpus
    from pipelines.engine import run_job
    from pipelines.jobfile import load_job

__all__ = ["Corpus", "Document", "load_job", "open_corpus", "run_job"]

_HOMES = {
    "Corpus": "pipelines.corpus",
    "Document": "pipelines.corpus",
    "open_corpus": "pipelines.corpus",
    "run_job": "pipelines.engine",
    "load_job": "pipelines.jobfile",
}


def __getattr__(name: str) -> Any:
    """Load a public name from its module on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'pipelines' has no attribute '{name}'")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
