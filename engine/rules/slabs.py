"""Slabs: rows of one kind that customers take and give back; each customer's rows are a list through `next`.

A customer has few coupons and orders, some have many. Lists in a shared array take what is used; fixed places for the
most that anyone may have would take three kilobytes a customer.
"""

from engine.compiled import entry, kernel

INSTANCES, ORDERS, IDS, LINES = 0, 1, 2, 3  # customers have lists of the first three, orders of the last


@kernel
def take_row(rows, free, slab):
    """Take a free row; the host has seen to it that there is one."""
    row = int(free[slab, 0])
    free[slab, 0] = rows[row].next
    free[slab, 1] -= 1
    return row


@kernel
def give_row(rows, free, slab, row):
    rows[row].next = free[slab, 0]
    free[slab, 0] = row
    free[slab, 1] += 1


@kernel
def push(rows, heads, customer_row, slab, row):
    """Put a row in front of a customer's list."""
    rows[row].next = heads[customer_row, slab]
    heads[customer_row, slab] = row


@kernel
def unlink(rows, heads, customer_row, slab, before, row):
    """Take a row out of a customer's list; `before` is the row ahead of it, or NONE at the front."""
    if before < 0:
        heads[customer_row, slab] = rows[row].next
    else:
        rows[before].next = rows[row].next


@entry
def chain(rows, first):
    """Link the rows from `first` on into one list of free rows; the last one ends it."""
    for row in range(first, len(rows)):
        rows[row].next = row + 1 if row + 1 < len(rows) else -1
