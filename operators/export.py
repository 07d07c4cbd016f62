"""Exports: views of kept documents and instructions as trainers read them, by name."""

from __future__ import annotations

from operators.export_conversations import InternVLFormat
from operators.export_format import Format
from operators.export_hf import HfFormat
from operators.export_instructions import (
    InstructionsParquetFormat,
    InternVLChatFormat,
    LlavaInstructFormat,
    MessagesFormat,
    MMInstructFormat,
)
from operators.export_llava import LlavaFormat
from operators.export_mmc4 import Mmc4Format
from operators.export_obelics import ObelicsFormat
from operators.export_omnicorpus import OmniCorpusFormat
from operators.export_pairs import PairsFormat
from operators.export_text import TextFormat
from operators.export_webdataset import WebDatasetFormat
from schemas.job import ExportSpec

FORMATS: dict[str, type[Format]] = {
    kind.name: kind
    for kind in (
        OmniCorpusFormat,
        ObelicsFormat,
        Mmc4Format,
        InternVLFormat,
        LlavaFormat,
        WebDatasetFormat,
        HfFormat,
        PairsFormat,
        TextFormat,
        MMInstructFormat,
        LlavaInstructFormat,
        InternVLChatFormat,
        MessagesFormat,
        InstructionsParquetFormat,
    )
}


def format_of(spec: ExportSpec) -> Format:
    """The export's format, set up for it; its `spec` has no open choices."""
    return FORMATS[spec.format](spec)
