"""Barrier phases: what may run at the same time, and which loads they make safe."""

from kernelkit.frontend.builtins import shared, syncthreads, syncthreads_or, threadIdx
from kernelkit.ir.nodes import Barrier, For, Load, Return, Store, While


def overlap(found, a, b):
    """Whether the stores on two lines may run at the same time."""
    return found.analysis.phases.overlap(found.stmt(a, Store), found.stmt(b, Store))


def straight(a):
    a[0] = 1
    a[1] = 2
    syncthreads()
    a[2] = 3


def test_a_barrier_parts(analysed):
    found = analysed(straight)
    assert overlap(found, "a[0]", "a[1]")
    assert not overlap(found, "a[0]", "a[2]")


def looped(a, n):
    a[0] = 1
    for i in range(n):
        a[1] = 2
        syncthreads()
        a[2] = 3
    a[3] = 4


def test_a_loop_unites_its_end_with_its_start(analysed):
    found = analysed(looped)
    assert overlap(found, "a[1]", "a[2]")
    assert overlap(found, "a[0]", "a[1]")
    assert not overlap(found, "a[0]", "a[2]")
    assert overlap(found, "a[0]", "a[3]")  # the loop may not run at all
    assert overlap(found, "a[2]", "a[3]")


def fenced(a, n):
    a[0] = 1
    for i in range(n):
        syncthreads()
        a[1] = 2
        syncthreads()
        a[2] = 3


def test_two_barriers_part_the_halves_of_a_loop(analysed):
    found = analysed(fenced)
    assert not overlap(found, "a[1]", "a[2]")
    assert not overlap(found, "a[0]", "a[1]")


def branched(a, n):
    a[0] = 1
    if n > 3:
        syncthreads()
        a[1] = 2
    a[2] = 3


def test_a_barrier_on_one_way_only(analysed):
    found = analysed(branched)
    assert overlap(found, "a[0]", "a[2]")
    assert overlap(found, "a[1]", "a[2]")
    assert not overlap(found, "a[0]", "a[1]")


def leaving(a, n):
    a[0] = 1
    while True:
        a[1] = 2
        if n > 3:
            break
        syncthreads()
        a[2] = 3
        syncthreads()
        a[3] = 4
        if n > 2:
            continue
        syncthreads()
    a[4] = 5


def test_breaks_and_continues_lead_where_they_lead(analysed):
    found = analysed(leaving)
    assert overlap(found, "a[0]", "a[4]")
    assert overlap(found, "a[3]", "a[1]")
    assert overlap(found, "a[3]", "a[4]")
    assert not overlap(found, "a[2]", "a[4]")
    assert not overlap(found, "a[2]", "a[3]")


def nested(a, n):
    for i in range(n):
        for j in range(n):
            a[0] = 1
            syncthreads()
            a[1] = 2
            syncthreads()
        a[2] = 3
        syncthreads()


def test_nested_loops(analysed):
    found = analysed(nested)
    assert not overlap(found, "a[0]", "a[1]")
    assert not overlap(found, "a[1]", "a[2]")
    assert overlap(found, "a[0]", "a[2]")


def prelude(a):
    a[0] = 1
    while syncthreads_or(a[threadIdx.x] > 0):
        a[1] = 2


def test_a_prelude_with_a_barrier(analysed):
    found = analysed(prelude)
    assert not overlap(found, "a[0]", "a[1]")
    loop = found.stmt("while", While)
    assert found.analysis.phases.overlap(loop, found.stmt("a[1]", Store))
    assert not found.analysis.phases.overlap(loop, found.stmt("a[0]", Store))


def after_a_return(a, n):
    a[0] = 1
    if n > 3:
        syncthreads()
        return
    a[1] = 2


def test_a_return_leads_nowhere(analysed):
    found = analysed(after_a_return)
    assert overlap(found, "a[0]", "a[1]")
    assert found.analysis.phases.since[found.stmt("return", Return)] not in (
        0,
        found.analysis.phases.since[found.stmt("a[1]", Store)],
    )


def tiled(a, b, n):
    s = shared.array(64, "float32")
    for i in range(n):
        s[threadIdx.x] = a[i]
        syncthreads()
        b[i] = s[0] + b[0]
        syncthreads()


def test_stable_loads(analysed):
    found = analysed(tiled)
    stable = {load.array.name for load in found.analysis.phases.stable}
    assert stable == {"a", "s"}
    assert found.expr("b[i] =", Load) in found.analysis.phases.stable


def test_what_holds_a_barrier(analysed):
    found = analysed(tiled)
    kinds = [type(s) for s in found.analysis.phases.holding]
    assert sorted(kinds, key=str) == sorted([Barrier, Barrier, For], key=str)
