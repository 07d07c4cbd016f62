"""Which text each image belongs to: the assignment of MMC4 (arXiv 2304.06939, section 3).

Images and texts are matched one to one such that the sum of similarities is greatest, so that
images spread over the document instead of crowding at the text that every image resembles. Images
that are left over, where there are more of them than texts, go to the text that they resemble most.

Ours and not SciPy's, which would be a heavy dependency for one function of forty lines.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from operators.compiled import compiled

Row = Sequence[float | None]


def matched_texts(similarity: Sequence[Row | None], texts: int) -> list[int | None]:
    """For each image (a row of similarities to the `texts`) the number of its text.

    None for an image that has no similarities. A text for which no image has one gets no image.
    """
    images = [number for number, row in enumerate(similarity) if row is not None]
    places = [
        text
        for text in range(texts)
        if any(similarity[i][text] is not None for i in images)  # type: ignore[index]
    ]
    found: list[int | None] = [None] * len(similarity)
    if not images or not places:
        return found
    matrix = np.array(
        [[similarity[i][text] for text in places] for i in images],  # type: ignore[index]
        np.float64,
    )
    matrix[np.isnan(matrix)] = -1.0
    for image, place in zip(images, assigned(matrix), strict=True):
        found[image] = places[place]
    return found


def assigned(similarity: npt.NDArray[np.float64]) -> list[int]:
    """For each row its column, of greatest sum; rows beyond the columns get their greatest column.

    `similarity` has at least one column, and finite values only.
    """
    rows, columns = similarity.shape
    if rows <= columns:
        chosen: list[int] = _cheapest(-similarity).tolist()
        return chosen
    chosen = similarity.argmax(axis=1).tolist()
    for column, row in enumerate(_cheapest(np.ascontiguousarray(-similarity.T)).tolist()):
        chosen[row] = column
    return chosen


@compiled
def _cheapest(cost: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """For each row a column of its own, of least total cost; not more rows than columns.

    Rows are added one by one along shortest augmenting paths, with potentials that keep reduced
    costs from falling below zero (Jonker and Volgenant 1987). Time: rows * rows * columns.
    """
    rows, columns = cost.shape
    of_row, of_column = np.zeros(rows + 1), np.zeros(columns + 1)
    owner = np.full(columns + 1, -1, np.int64)  # the last column is where a new row starts
    came_from = np.zeros(columns + 1, np.int64)
    for row in range(rows):
        owner[columns] = row
        column = columns
        least = np.full(columns + 1, np.inf)
        done = np.zeros(columns + 1, np.bool_)
        while owner[column] != -1:
            done[column] = True
            current, step, nearest = owner[column], np.inf, -1
            for other in range(columns):
                if done[other]:
                    continue
                reduced = cost[current, other] - of_row[current] - of_column[other]
                if reduced < least[other]:
                    least[other] = reduced
                    came_from[other] = column
                if least[other] < step:
                    step = least[other]
                    nearest = other
            for other in range(columns + 1):
                if done[other]:
                    of_row[owner[other]] += step
                    of_column[other] -= step
                else:
                    least[other] -= step
            column = nearest
        while column != columns:
            owner[column] = owner[came_from[column]]
            column = came_from[column]
    chosen = np.zeros(rows, np.int64)
    for column in range(columns):
        if owner[column] != -1:
            chosen[owner[column]] = column
    return chosen
