"""What names stand for where ways meet: arrays, tuples and constants through branches, loops and
lazy operands. Each function runs in Python too, on the same arrays; a kernel gives the same or is
refused, never anything else."""

from __future__ import annotations

import numpy as np
import pytest

import kernelkit as kk
from kernelkit.errors import CompileError


def bump(a):
    a[0] += 1
    return a[0]


def pair(t, extra):
    return t[0] * 100 + t[1] * 10 + extra


def view_found_in_a_loop(a, b, out):
    i = 0
    while True:
        row = a[i]
        if row[0] > 0:
            break
        i += 1
    out[0] = row[1]


def constant_before_a_break(a, b, out):
    k = 1
    for i in range(4):
        if i == 2:
            k = 7
            break
    else:
        k = 3
    out[0] = k


def tuple_assigned_twice_over(a, b, out):
    p = q = (a[0, 0], a[0, 1])
    a[0, 0] = 50
    out[0], out[1] = p[0], q[0]


def tuple_before_an_effect(a, b, out):
    row = a[1]
    out[0] = pair((row[0], row[1]), bump(row))


def middle_before_an_effect(a, b, out):
    row = a[1]
    out[0] = 1 if -1 < row[0] < bump(row) else 2


def walrus_in_a_lazy_operand(a, b, out):
    n = 4
    if a[0, 0] > 100 and (n := 9) > 3:
        out[1] = 1
    out[0] = n


def constant_in_a_lazy_arm(a, b, out):
    x = 1 if a[0, 0] < 100 else (m := 5)
    m = 2 * x
    out[0] = m + x


def rounds_that_rebind(a, b, out):
    for t in ((1, 2), (3, 4)):
        u, v = t
        if u == 3:
            break
    out[0], out[1] = u, v


def a_name_that_is_an_array_and_then_a_number(a, b, out):
    row = a[1]
    out[0] = row[1]
    row = 5
    out[1] = row
    for a in range(3):
        out[1] += a


def effects_of_both_arms_that_give_one_array(a, b, out):
    p = (a if bump(b) > 0 else a) if out[0] == 0 else a  # noqa: RUF034
    out[0] = p[0, 0] + b[0]


RIGHT = [
    constant_before_a_break, tuple_assigned_twice_over,
    tuple_before_an_effect, middle_before_an_effect, walrus_in_a_lazy_operand,
    constant_in_a_lazy_arm, rounds_that_rebind, a_name_that_is_an_array_and_then_a_number,
    effects_of_both_arms_that_give_one_array,
]  # fmt: skip


@pytest.mark.parametrize("function", RIGHT, ids=lambda f: f.__name__)
def test_it_means_what_it_means_in_python(function):
    def arrays():
        return np.array([[0, 4], [3, 8], [7, 1]]), np.array([5, 6]), np.zeros(2, int)

    wanted, given = arrays(), arrays()
    function(*wanted)
    with kk.use("python"):
        kk.kernel(function)[1, 1](*given)
    for want, got in zip(wanted, given, strict=True):
        assert (got == want).all()


def rebound_before_a_break(a, b, out):
    p = a[0]
    for i in range(3):
        p = b
        if out[i] > 0:
            break
        p = a[0]
    out[0] = p[0]


def rebound_in_a_lazy_operand(a, b, out):
    p = a[0]
    if out[0] > 0 and (p := b)[0] > 0:
        out[1] = 1
    out[0] = p[0]


def rebound_before_continue(a, b, out):
    p = a[0]
    for i in range(3):
        out[i] = p[0]
        if i > 0:
            p = b
            continue
        p = a[0]


def rebound_in_a_branch_of_a_loop(a, b, out):
    p = a[0]
    for i in range(3):
        out[i] = p[0]
        if i > 0:
            p = b


@pytest.mark.parametrize(
    "function",
    [
        rebound_in_a_branch_of_a_loop,
        rebound_before_a_break,
        rebound_in_a_lazy_operand,
        rebound_before_continue,
        view_found_in_a_loop,
    ],
    ids=lambda f: f.__name__,
)
def test_an_array_name_that_depends_on_the_way_is_refused(function):
    arrays = np.zeros((3, 2), int), np.zeros(2, int), np.zeros(3, int)
    with pytest.raises(CompileError, match=r"stands for|assigned on only some"):
        kk.kernel(function).inspect(*arrays, backend="python")


def test_odd_objects_are_refused_in_our_words():
    writable = np.arange(3)

    def truth(out):
        if writable:
            out[0] = 1

    def compared(out):
        out[0] = 1 if writable == 3 else 2

    def called(out):
        out[0] = writable(2)

    def sized(out):
        own = kk.local.array(1 << 40, np.float64)
        out[0] = own[0]

    def module(out):
        own = kk.local.array(3, np)
        out[0] = own[0]

    for function in (truth, compared, called, sized, module):
        with pytest.raises(CompileError):
            kk.kernel(function).inspect(np.zeros(3), backend="python")
