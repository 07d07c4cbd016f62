"""img2dataset over addresses: `python image_fetch_peer.py ADDRESSES FOLDER`.

Run by `image_fetch` in an interpreter that has img2dataset, as a program of its own that imports
nothing of ours. Bytes are stored as they come, with their SHA-256, in one process of many threads.
"""

from __future__ import annotations

import sys

from img2dataset import download


def main() -> None:
    """Fetch into tar files."""
    download(
        url_list=sys.argv[1],
        output_folder=sys.argv[2],
        input_format="txt",
        output_format="webdataset",
        resize_mode="no",
        disable_all_reencoding=True,
        extract_exif=False,
        compute_hash="sha256",
        processes_count=1,
        thread_count=32,
        number_sample_per_shard=10_000,
        enable_wandb=False,
    )


if __name__ == "__main__":
    main()
