"""The published Parquet schema of OmniCorpus-CC (arXiv 2406.08418, dataset card of 2024).

`images` and `texts` are parallel: at each position exactly one of them is null. `metadata` is
parallel too, null at text positions. Fields that no stage has measured are null.
"""

from __future__ import annotations

import pyarrow as pa

GENERAL_METADATA = pa.struct(
    [
        ("domain", pa.list_(pa.string())),
        ("fluency_prob", pa.float64()),
        ("id", pa.string()),
        ("non_advertisement_prob", pa.float64()),
        ("politics_prob", pa.float64()),
        ("porn_prob", pa.float64()),
        ("toxic_prob", pa.float64()),
        ("url", pa.string()),
    ]
)

IMAGE_METADATA = pa.struct(
    [
        ("aesthetic_prob", pa.float64()),
        ("bytes", pa.int64()),
        ("d_hash", pa.string()),
        ("d_hash_dup_count", pa.int64()),
        ("height", pa.int64()),
        ("img_url_sha", pa.string()),
        ("p_hash", pa.string()),
        ("p_hash_dup_count", pa.int64()),
        ("unsafe_prob", pa.float64()),
        ("width", pa.int64()),
    ]
)

OMNICORPUS = pa.schema(
    [
        ("general_metadata", GENERAL_METADATA),
        ("images", pa.list_(pa.string())),
        ("texts", pa.list_(pa.string())),
        ("metadata", pa.list_(IMAGE_METADATA)),
    ]
)
