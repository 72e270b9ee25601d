"""Many files as one stream: by time, ties in the order the files were given, each file in its own order."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heapreplace

from alphapanda.venues.replay.rules import Row


def merged(files: Iterable[Iterator[Row]]) -> Iterator[Row]:
    """As `heapq.merge`, but a file keeps the word until another is due: files of one symbol follow
    each other, so the heap is rarely touched.
    """
    heap = []
    for index, rows in enumerate(files):
        row = next(rows, None)
        if row is not None:
            heap.append((row[0], index, row, rows))
    heapify(heap)
    while len(heap) > 1:
        _, index, row, rows = heap[0]
        due, due_index = min(heap[1:3])[:2]
        yield row
        for row in rows:
            if row[0] > due or (row[0] == due and index > due_index):
                heapreplace(heap, (row[0], index, row, rows))
                break
            yield row
        else:
            heappop(heap)
    for _, _, row, rows in heap:
        yield row
        yield from rows
