"""Barriers: which the analyses accept, which they refuse and in what words."""

import linecache

import numpy as np
import pytest

from kernelkit.analysis.shape import Shape
from kernelkit.errors import CompileError
from kernelkit.frontend.builtins import (
    atomic,
    blockDim,
    blockIdx,
    const,
    grid,
    gridDim,
    laneid,
    local,
    shared,
    shfl_sync,
    syncthreads,
    syncthreads_and,
    syncthreads_count,
    syncthreads_or,
    threadIdx,
    uniform,
)

TABLE = np.arange(4)


# ---------------------------------------------------------------- legal
def straight(a):
    s = shared.array(64, "float32")
    s[threadIdx.x] = a[threadIdx.x]
    syncthreads()
    a[threadIdx.x] = s[63 - threadIdx.x]


def after_an_early_return(a, n):
    i = grid(1)
    if i >= n:
        return
    syncthreads()
    a[i] = 1


def under_a_uniform_branch(a, n):
    if n > 3 and blockIdx.x < gridDim.x - 1:
        syncthreads()
    elif blockDim.x == 64:
        syncthreads()


def in_nested_uniform_loops(a, n):
    for i in range(n):
        for j in range(i, len(a), 2):
            syncthreads()
            k = j
            while k > 0:
                syncthreads()
                k -= i + 1


def while_or(a):
    while syncthreads_or(a[threadIdx.x] > 0):
        a[threadIdx.x] -= 1


def on_count_and_and(a):
    c = syncthreads_count(a[threadIdx.x] > 0)
    if c > 3:
        syncthreads()
    if syncthreads_and(a[threadIdx.x] > 0):
        syncthreads()


def on_the_word_of_the_user(a):
    if uniform(a[threadIdx.x] > 0):
        syncthreads()
    m = uniform(threadIdx.x // 64)
    for _ in range(m):
        syncthreads()


def on_a_load_of_another_phase(a):
    s = shared.array(1, "float32")
    if threadIdx.x == 0:
        s[0] = a[0]
    syncthreads()
    if s[0] > 0:
        syncthreads()
    while s[0] > 0:
        syncthreads()
        if threadIdx.x == 0:
            s[0] -= 1
        syncthreads()


def on_a_read_only_parameter(a, b):
    a[threadIdx.x] = 1
    if b[blockIdx.x] > 0:
        syncthreads()


def on_constant_memory(a):
    t = const.array_like(TABLE)
    if t[blockIdx.x % 4] > 1:
        syncthreads()


def through_a_uniform_view(a):
    row = a[blockIdx.x]
    if row[0] > 1:
        syncthreads()


def on_a_uniform_flag(a, n):
    found = False
    for i in range(n):
        if i * i == n:
            found = True
            break
        syncthreads()
    if found:
        syncthreads()


def for_else_with_a_uniform_break(a, n):
    for i in range(n):
        if a[i] > 0:
            break
    else:
        syncthreads()


def before_a_divergent_continue(a, n):
    for i in range(n):
        syncthreads()
        if a[threadIdx.x] > i:
            continue
        a[threadIdx.x] = i


def after_a_divergent_inner_loop(a, n):
    for i in range(n):
        for _ in range(threadIdx.x):
            if a[threadIdx.x] > i:
                break
            a[threadIdx.x] += 1
        syncthreads()


def after_a_call_that_returns_early(a, n):
    a[threadIdx.x] = clipped(a[threadIdx.x])
    syncthreads()


def clipped(x):
    if x > 1:
        return 1.0
    return x


def where_the_others_return(a, n):
    if threadIdx.x >= n:
        a[threadIdx.x] = 0
        return
    else:
        syncthreads()


def in_a_loop_that_threads_return_from(a, n):
    while True:
        if a[threadIdx.x] > n:
            return
        syncthreads()


def over_an_unrolled_tuple(a, n):
    for d in (1, 2, 4):
        if n < d:
            continue
        syncthreads()


def before_a_divergent_scope_exit(a, n):
    a[threadIdx.x] = synced(a[threadIdx.x])


def synced(x):
    syncthreads()
    if x > 1:
        return 1.0
    return x


LEGAL = [
    straight, after_an_early_return, under_a_uniform_branch, in_nested_uniform_loops, while_or,
    on_count_and_and, on_the_word_of_the_user, on_a_load_of_another_phase,
    on_a_read_only_parameter, on_constant_memory, through_a_uniform_view, on_a_uniform_flag,
    for_else_with_a_uniform_break, before_a_divergent_continue, after_a_divergent_inner_loop,
    after_a_call_that_returns_early, where_the_others_return, in_a_loop_that_threads_return_from,
    over_an_unrolled_tuple, before_a_divergent_scope_exit,
]  # fmt: skip
VIEWED = {through_a_uniform_view: {"a": "float32[2]"}}


@pytest.mark.parametrize("kernel", LEGAL, ids=lambda k: k.__name__)
def test_legal(analysed, kernel):
    found = analysed(kernel, **VIEWED.get(kernel, {})).analysis
    barriers = [s for s in found.phases.holding if type(s).__name__ == "Barrier"]
    assert barriers
    assert not any(found.variability.causes[b] for b in barriers)


# ---------------------------------------------------------------- refused
def under_a_divergent_branch(a, n):
    if threadIdx.x < n:  # why: threadIdx.x
        syncthreads()  # bad


def in_the_other_arm(a, n):
    if threadIdx.y < n:  # why: threadIdx.y
        a[0] = 1
    else:
        syncthreads()  # bad


def under_a_name(a, n):
    i = grid(1)
    inside = i < n
    if inside:  # why: threadIdx.x
        syncthreads()  # bad


def in_a_loop_of_divergent_count(a, n):
    for i in range(threadIdx.x, n):  # why: threadIdx.x
        syncthreads()  # bad


def in_a_divergent_while(a):
    while a[threadIdx.x] > 0:  # why: threadIdx.x
        syncthreads()  # bad
        a[threadIdx.x] -= 1


def in_a_prelude_of_a_divergent_while(a):
    while syncthreads_or(a[0] > 0) and a[threadIdx.x] > 0:  # bad  # why: threadIdx.x
        a[threadIdx.x] -= 1


def before_a_divergent_break(a, n):
    for i in range(n):
        syncthreads()  # bad
        if a[threadIdx.x] > i:  # why: threadIdx.x
            break


def after_a_divergent_break(a, n):
    while True:
        if laneid == n:  # why: laneid
            break
        syncthreads()  # bad


def after_a_divergent_continue(a, n):
    for i in range(n):
        if n > 3:
            if a[threadIdx.x] > i:  # why: threadIdx.x
                continue
        syncthreads()  # bad


def break_after_a_divergent_continue(a, n):
    for i in range(n):
        syncthreads()  # bad
        if a[threadIdx.x] > i:  # why: threadIdx.x
            continue
        if n == i:
            break


def in_the_rest_of_a_call(a, n):
    a[0] = early(threadIdx.x)


def early(x):
    if x > 1:  # why: threadIdx.x
        return 1
    syncthreads()  # bad
    return x


def in_the_rest_of_a_round(a, n):
    for d in (1, 2):
        if threadIdx.x == d:  # why: threadIdx.x
            continue
        syncthreads()  # bad


def in_an_else_of_a_divergent_break(a, n):
    for i in range(n):
        if threadIdx.x == i:
            break
    else:  # why: threadIdx.x
        syncthreads()  # bad


def on_a_flag_set_under_a_branch(a):
    flag = False
    if threadIdx.x == 3:
        flag = True
    if flag:  # why: threadIdx.x
        syncthreads()  # bad


def on_a_count_of_a_divergent_loop(a, n):
    c = 0
    while c < a[threadIdx.x]:
        c += 1
    if c > n:  # why: threadIdx.x
        syncthreads()  # bad


def on_a_count_of_continues(a, n):
    c = 0
    for i in range(n):
        if a[threadIdx.x] > i:
            continue
        c += 1
    if c > n:  # why: threadIdx.x
        syncthreads()  # bad


def on_a_load_of_the_same_phase(a):
    s = shared.array(1, "float32")
    s[0] = a[threadIdx.x]
    if s[0] > 1:  # why: `s`, which is written in the same phase
        syncthreads()  # bad


def on_a_load_that_a_loop_carries(a, n):
    s = shared.array(64, "float32")
    for i in range(n):
        if s[0] > i:  # why: `s`, which is written in the same phase
            syncthreads()  # bad
        s[threadIdx.x] = i


def on_dynamic_memory_by_another_name(a):
    s = shared.array(0, "float32")
    t = shared.array(0, "int32")
    t[threadIdx.x] = 1
    if s[0] > 1:  # why: `s`, which is written in the same phase
        syncthreads()  # bad


def on_a_parameter_written_through_a_view(a):
    row = a[threadIdx.x]
    row[0] = 1
    if a[0, 0] > 1:  # why: `a`, which is written in the same phase
        syncthreads()  # bad


def through_a_divergent_view(a):
    row = a[threadIdx.x]
    if row[0] > 1:  # why: `row`, a view that starts at different places
        syncthreads()  # bad


def on_local_memory(a):
    t = local.array(2, "float32")
    t[0] = a[0]
    if t[0] > 1:  # why: `t`, an array of one thread
        syncthreads()  # bad


def on_an_atomic(a):
    old = atomic.add(a, 0, 1)
    if old == 1:  # why: what an atomic gave at line
        syncthreads()  # bad


def on_a_shuffle(a):
    v = shfl_sync(0xFFFFFFFF, a[threadIdx.x], 0)
    if v > 1:  # why: what a warp operation gave at line
        syncthreads()  # bad


def where_both_arms_return(a, n):
    if threadIdx.x < n:  # why: threadIdx.x
        syncthreads()  # bad
        return
    else:
        a[threadIdx.x] = 1
    a[0] = 1


REFUSED = [
    under_a_divergent_branch, in_the_other_arm, under_a_name, in_a_loop_of_divergent_count,
    in_a_divergent_while, in_a_prelude_of_a_divergent_while, before_a_divergent_break,
    after_a_divergent_break, after_a_divergent_continue, break_after_a_divergent_continue,
    in_the_rest_of_a_call, in_the_rest_of_a_round, in_an_else_of_a_divergent_break,
    on_a_flag_set_under_a_branch, on_a_count_of_a_divergent_loop, on_a_count_of_continues,
    on_a_load_of_the_same_phase, on_a_load_that_a_loop_carries, on_dynamic_memory_by_another_name,
    on_a_parameter_written_through_a_view, through_a_divergent_view, on_local_memory, on_an_atomic,
    on_a_shuffle, where_both_arms_return,
]  # fmt: skip
VIEWED |= {
    on_a_parameter_written_through_a_view: {"a": "float32[2]"},
    through_a_divergent_view: {"a": "float32[2]"},
}


@pytest.mark.parametrize("kernel", REFUSED, ids=lambda k: k.__name__)
def test_refused(refused, kernel):
    """One finding, at the barrier, with a note at the line that says why."""
    error = refused(kernel, **VIEWED.get(kernel, {}))
    (found,) = error.diagnostics
    assert "# bad" in linecache.getline(found.span.file, found.span.line)
    assert found.message.startswith("`syncthreads")
    assert "may not be reached by all threads of the block; " in found.message
    assert "`kk.uniform(...)`" in found.message
    (note,) = found.notes
    span, text = note
    wanted = linecache.getline(span.file, span.line).partition("# why: ")[2].strip()
    if kernel is not in_an_else_of_a_divergent_break:  # there the note is at the loop
        assert wanted
    assert "depending on " + (wanted if "`" in wanted or " " in wanted else f"`{wanted}") in text


def several(a, n):
    if threadIdx.x < n:
        syncthreads()
    for i in range(n):
        if a[threadIdx.x] > i:
            if n > 3:
                syncthreads()
            continue
        if n > 5:
            syncthreads()


def test_all_findings_in_one_error_with_all_their_reasons(refused):
    error = refused(several)
    first = several.__code__.co_firstlineno
    assert [d.span.line - first for d in error.diagnostics] == [2, 6, 9]
    assert [[s.line - first for s, _ in d.notes] for d in error.diagnostics] == [[1], [4], [4]]
    advice = [d.message.partition("; ")[2] for d in error.diagnostics]
    assert [a.split(",")[0] for a in advice] == [
        "move it out of the `if`",
        "move it out of the `if`",
        "put the work under an `if` in place of jumping over the barrier",
    ]


def nested(a, n):
    for i in range(threadIdx.x):
        if a[threadIdx.x] > i:
            syncthreads()


def test_the_innermost_reason_comes_first(refused):
    (found,) = refused(nested).diagnostics
    first = nested.__code__.co_firstlineno
    assert [s.line - first for s, _ in found.notes] == [2, 1]


def test_legality_does_not_hang_on_the_block(refused):
    def one_row(a, n):
        if threadIdx.y == 0:
            syncthreads()

    for shape in (Shape((1, 1, 1)), Shape((64, 1, 1), 16), Shape((8, 8, 1), 8, rowwise=False)):
        assert isinstance(refused(one_row, shape=shape), CompileError)
