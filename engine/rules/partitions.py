"""Whole lists of a slab at once: which rows they are, and many rows taken or given back.

`heads` are first rows (i4[n], NONE: no list) and `links` a slab's field `next`, so that one compilation serves every
slab.
"""

from engine.compiled import entry
from engine.records import NONE


@entry
def count_rows(front, links):
    """How many rows some lists have together; front: their heads, no NONE among them, used up.

    All lists go a row further at a time: rows lie anywhere in memory, and so they are fetched side by side, not one
    after the other (3.7 against 6.2 ms for a copy of 3,906 customers of a million).
    """
    count, live = 0, len(front)
    while live > 0:
        count += live
        going = 0
        for i in range(live):
            after = links[front[i]]
            front[going] = after
            going += 1 if after != NONE else 0
        live = going
    return count


@entry
def list_rows(heads, links, rows):
    """Write the lists' rows one list after the other, each from its head on; rows: i8, as many as there are."""
    count = 0
    for i in range(len(heads)):
        at = int(heads[i])
        while at != NONE:
            rows[count] = at
            count += 1
            at = int(links[at])


@entry
def take_rows(links, free, slab, rows):
    """Take free rows, as many as `rows` (i8, written) has places; the host has seen to it that there are."""
    for i in range(len(rows)):
        rows[i] = free[slab, 0]
        free[slab, 0] = links[rows[i]]
    free[slab, 1] -= len(rows)


@entry
def give_rows(links, free, slab, rows):
    """Give rows back (i8). They are taken again in the same order."""
    for i in range(len(rows) - 1, -1, -1):
        links[rows[i]] = free[slab, 0]
        free[slab, 0] = rows[i]
    free[slab, 1] += len(rows)
