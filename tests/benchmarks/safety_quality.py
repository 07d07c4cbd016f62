"""How well faces, nudity and text are told: `python -m tests.benchmarks.safety_quality FOLDER`.

FOLDER holds photos and `captions.tsv` (columns image and caption, several captions an image, as
those of Flickr8k). Nobody has marked faces, so captions stand in for it: of an image whose captions
nearly all name a person, a face should often be found; where no caption has a word for people, what
they wear or ride, any face is wrong. A person may well be seen from behind, so the first share is
no recall, only good for comparing. On marks of agencies: names are written on the photos.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL import Image, ImageDraw, ImageFont

from operators.safety import DetectFaces, DetectNsfw, DetectText, ReadText
from tests.benchmarks.record import say

PERSON = frozenset(
    """
    baby boy boys child children girl girls guy kid kids lady man men people person woman women
    """.split()
)
OF_PEOPLE = PERSON | frozenset(
    """
    actor adult adults arm arms artist asian athlete athletes atv audience babies band baseball
    basketball batter bicyclist bicyclists bike biker bikers bikini boater boaters boats bride
    brother brothers camper campers canoe canoeing carriage catcher chef climber climbers clown
    competitor costume couple cowboy cowboys crew crowd cycling cyclist dad dancer dancers daughter
    dirt doll dress driver drivers drummer face faces family fan fans father female females figure
    figures fisherman fishermen football foot feet four-wheeler friend friends goalie golfer groom
    group guitarist guys gymnast hand hands hang hat he her hers him hiker hikers his hockey human
    humans individual individuals jockey kayak kayaker kayaking ladies leg legs male males man's
    mannequin marching model mom mother motorbike motorcycle motorcyclist musician officer one's
    opponent owner owners painter painting parachuter parade paraglider participant participants
    passenger passengers pedestrian pedestrians people's performer performers pitcher player players
    police portrait quarterback racer racers raft rider riders riding rower runner runners sailors
    santa sculpture she shirt shopper singer sister sisters skateboard skateboarder skater skaters
    skier skiers sled snow-boarder snowboarder snowboarders snowman soccer soldier soldiers somebody
    someone son spectators statue student students surfer surfers swimmer swimmers team teen
    teenager teenagers teens tennis their them they toddler tourist tourists vendor visitors
    wakeboarder windsurfer woman's worker workers wrestlers youth
    """.split()
)
_AGENCIES = ("shutterstock", "gettyimages", "Adobe Stock", "depositphotos", "alamy", "dreamstime")
_MOST = 300


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    captions: dict[str, list[set[str]]] = defaultdict(list)
    with (folder / "captions.tsv").open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            captions[row["image"]].append(set(re.findall(r"[a-z'-]+", row["caption"].lower())))
    people = [n for n, said in sorted(captions.items()) if _naming(said, PERSON) >= len(said) - 1]
    none = [n for n, said in sorted(captions.items()) if not _naming(said, OF_PEOPLE)]
    _faces(_files(folder, people[:_MOST]), _files(folder, none[:_MOST]))
    everything = _files(folder, sorted(captions))
    scores = _measured(DetectNsfw(), image_data=everything)["nsfw_prob"].to_pylist()
    for threshold in (0.1, 0.2, 0.5, 0.8):
        say(f"nsfw_prob above {threshold}: {_share(s > threshold for s in scores):.4f}")
    ratios = _measured(DetectText(), image_data=everything)["text_area_ratio"].to_pylist()
    for threshold in (0.0, 0.05, 0.1, 0.2, 0.3):
        say(f"text_area_ratio above {threshold}: {_share(r > threshold for r in ratios):.4f}")
    read = _measured(ReadText(), image_data=everything, text_area_ratio=ratios)
    say(f"with a mark: {_share(n > 0 for n in read['watermark_word_count'].to_pylist()):.4f}")
    _marks([Image.open(io.BytesIO(file)) for file in random.Random(1).sample(everything, 24)])


def _faces(people: list[bytes], none: list[bytes]) -> None:
    say(f"{len(people)} photos of people, {len(none)} of none")
    for least in (16, 20):
        scores = [_best_scores(DetectFaces(min_face=least), files) for files in (people, none)]
        for threshold in (0.7, 0.8, 0.9, 0.95):
            one, other = (_share(score >= threshold for score in found) for found in scores)
            say(f"min_face {least}, score {threshold}: {one:.3f} and {other:.3f}")


def _best_scores(operator: DetectFaces, files: list[bytes]) -> list[float]:
    rows = _measured(operator, image_data=files)["image_faces"].to_pylist()
    return [max((face["score"] for face in faces), default=0) for faces in rows]


def _marks(photos: Sequence[Image.Image]) -> None:
    for tiled in (False, True):
        for turned in (0, 30):
            for opacity in (0.25, 0.4, 0.6, 1.0):
                files = [
                    _marked(photo, _AGENCIES[number % len(_AGENCIES)], opacity, turned, tiled)
                    for number, photo in enumerate(photos)
                ]
                ratios = _measured(DetectText(), image_data=files)["text_area_ratio"].to_pylist()
                read = _measured(ReadText(), image_data=files, text_area_ratio=ratios)
                found = _share(n > 0 for n in read["watermark_word_count"].to_pylist())
                how = f"tiled {tiled}, turned {turned}, opacity {opacity}"
                say(f"{how}: text in {_share(r > 0 for r in ratios):.2f}, mark in {found:.2f}")


def _marked(photo: Image.Image, word: str, opacity: float, turned: int, tiled: bool) -> bytes:
    """The photo at 448 pixels with a word in white across it, as JPEG."""
    ground = photo.convert("RGBA").resize((448, 448), Image.Resampling.BICUBIC)
    layer = Image.new("RGBA", (896, 896))
    draw, font = ImageDraw.Draw(layer), ImageFont.load_default(36)
    white, width = (255, 255, 255, round(255 * opacity)), draw.textlength(word, font)
    if tiled:
        for y in range(0, 896, 144):
            for x in range(0, 896, round(width * 1.4)):
                draw.text((x, y), word, white, font)
    else:
        draw.text((448 - width / 2, 430), word, white, font)
    layer = layer.rotate(turned, Image.Resampling.BICUBIC).crop((224, 224, 672, 672))
    file = io.BytesIO()
    Image.alpha_composite(ground, layer).convert("RGB").save(file, "JPEG", quality=85)
    return file.getvalue()


def _measured(operator: Any, **columns: list[Any]) -> pa.Table:
    arrays = [pa.array(columns[item.name], item.type) for item in operator.reads]
    batch = pa.Table.from_arrays(arrays, schema=operator.reads)
    found: pa.Table = operator.measure(batch, operator.setup())
    return found


def _files(folder: Path, names: Iterable[str]) -> list[bytes]:
    return [(folder / name).read_bytes() for name in names]


def _naming(captions: Sequence[set[str]], words: frozenset[str]) -> int:
    return sum(bool(said & words) for said in captions)


def _share(holds: Iterable[bool]) -> float:
    found = list(holds)
    return sum(found) / len(found)


if __name__ == "__main__":
    main()
