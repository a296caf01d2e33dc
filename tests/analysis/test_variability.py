"""Kinds of values and the ways in which threads part."""

import pytest

from kernelkit.analysis.shape import Shape
from kernelkit.frontend.builtins import (
    activemask,
    all_sync,
    atomic,
    ballot_sync,
    blockDim,
    blockIdx,
    grid,
    gridsize,
    laneid,
    local,
    match_all_sync,
    shared,
    shfl_down_sync,
    shfl_sync,
    syncthreads,
    threadIdx,
    uniform,
)
from kernelkit.ir.nodes import Continue, For, If, Load, Scope, Store, While

FULL = 0xFFFFFFFF


def values(a, n):
    constant = 3
    argument = n * constant
    block = blockIdx.x * blockDim.x + argument
    row = threadIdx.y + block
    i = grid(1)
    left = 2 * i - 1
    clamped = max(i - 1, 0)
    wrapped = (i + 1) % n
    x = a[i]
    told = uniform(x)
    length = len(a)
    same = i - threadIdx.x + n
    down = n - i
    a[0] = clamped + wrapped + x + told + row + length + left + same + down


def test_kinds_of_values(analysed):
    found = analysed(values)
    kinds = {
        name: found.kinds(name)[0]
        for name in "constant argument block row i left clamped wrapped x told length same down".split()
    }
    assert kinds == {
        "constant": "block-uniform",
        "argument": "block-uniform",
        "block": "block-uniform",
        "row": "vector-uniform",
        "i": "linear(1)",
        "left": "linear(2)",
        "clamped": "guarded-linear(1)",
        "wrapped": "guarded-linear(1)",
        "x": "varying",
        "told": "block-uniform",
        "length": "block-uniform",
        "same": "vector-uniform",
        "down": "linear(-1)",
    }


def counts(a, n):
    for i in range(n):
        s = i
        a[s] = 1
    for j in range(threadIdx.x, n, blockDim.x):
        a[j] = 1
    for k in range(grid(1), n, gridsize(1)):
        a[k] = 1
    for m in range(0, n, threadIdx.x + 1):
        a[m] = 1
    p = threadIdx.x
    while p < n:
        a[p] = 1
        p += blockDim.x


def test_loops_that_count(analysed):
    found = analysed(counts)
    assert {name: found.kinds(name) for name in "ijkmp"} == {
        "i": ["block-uniform"],
        "j": ["linear(1)"],
        "k": ["linear(1)"],
        "m": ["varying"],
        "p": ["linear(1)"],
    }
    loops = ["for i", "for j", "for k", "for m", "while"]
    divergence = [found.divergence(found.stmt(text, (For, While))) for text in loops]
    assert divergence == ["BLOCK_UNIFORM"] + ["VARYING"] * 4


def carried(a, n):
    s = 0.0
    t = 0
    for i in range(n):
        s += i
        t += 2
    if n > 3:
        t = 7
    a[0] = s + t


def test_uniformity_goes_through_loops_and_uniform_branches(analysed):
    found = analysed(carried)
    assert found.kinds("s") == ["block-uniform"]
    assert found.kinds("t") == ["block-uniform"]


def temporal(a, n):
    steps = 0
    inside = 0
    while a[threadIdx.x] > steps:
        steps += 1
        inside = steps * 2
        a[inside] = 1
    a[0] = steps


def test_what_leaves_a_loop_at_different_times_varies(analysed):
    found = analysed(temporal)
    assert found.kinds("steps") == ["varying"]
    assert found.kinds("inside")[-1] == "varying"  # it is made of steps
    assert found.analysis.variability.blended == set(found.webs("steps"))


def temporal_break(a, n):
    for i in range(n):
        x = i * 2
        y = x + 1
        a[y] = 1
        if a[threadIdx.x] > x:
            break
    a[0] = x


def test_a_divergent_break_makes_what_leaves_vary(analysed):
    found = analysed(temporal_break)
    assert found.kinds("x") == ["varying"]
    assert found.divergence(found.stmt("for i", For)) == "VARYING"


def stays_inside(a, n):
    for i in range(n):
        if a[threadIdx.x] > i:
            x = i * 2
            a[x] = 1
            break


def test_what_stays_in_a_divergent_region_is_uniform(analysed):
    found = analysed(stays_inside)
    assert found.kinds("x") == ["block-uniform"]
    assert found.kinds("i") == ["block-uniform"]
    assert not found.analysis.variability.blended


def selected(a, n):
    x = 1
    if threadIdx.x < n:
        x = 2
    y = 1
    if threadIdx.y < n:
        y = 2
    z = threadIdx.x
    if threadIdx.y < n:
        z = threadIdx.x + 5
    w = n
    if blockIdx.x < n:
        w = 2
    a[0] = x + y + z + w


def test_branches_raise_what_they_merge_as_far_as_they_part(analysed):
    found = analysed(selected)
    kinds = {name: found.kinds(name) for name in "xyzw"}
    assert kinds == {
        "x": ["varying"],
        "y": ["vector-uniform"],
        "z": ["linear(1)"],
        "w": ["block-uniform"],
    }
    assert found.analysis.variability.blended == set(found.webs("x"))


def mixed(a, n):
    x = n
    if n > 3:
        x = threadIdx.x
    y = threadIdx.x
    if n > 3:
        y = 2 * threadIdx.x
    z = threadIdx.x
    if n > 3:
        z = max(threadIdx.x, 1)
    a[0] = x + y + z


def test_kinds_that_do_not_fit_join_to_varying(analysed):
    found = analysed(mixed)
    assert [found.kinds(name) for name in "xyz"] == [
        ["varying"],
        ["varying"],
        ["guarded-linear(1)"],
    ]


def continues(a, n):
    c = 0
    d = 0
    for i in range(n):
        d += 1
        if a[threadIdx.x] > i:
            continue
        c += 1
        a[c] = 1
    a[0] = d


def test_a_divergent_continue_parts_what_follows_it(analysed):
    found = analysed(continues)
    assert found.kinds("c") == ["varying"]
    assert found.kinds("d") == ["block-uniform"]
    loop = found.stmt("for i", For)
    assert found.divergence(loop) == "BLOCK_UNIFORM"
    assert found.analysis.variability.continues[loop].name == "VARYING"
    assert found.control(found.stmt("d += 1")) == "BLOCK_UNIFORM"
    assert found.control(found.stmt("c += 1")) == "VARYING"
    (cause,) = found.analysis.variability.causes[found.stmt("c += 1")]
    assert isinstance(cause.stmt, Continue)
    assert [type(c.stmt) for c in cause.behind] == [If]


def returns(a, n):
    i = grid(1)
    if i >= n:
        return
    s = 0
    for k in range(n):
        s += k
        if a[i] > s:
            return
    a[i] = s


def test_a_return_parts_nobody(analysed):
    found = analysed(returns)
    assert found.kinds("s") == ["block-uniform"]
    assert found.control(found.stmt("a[i] = s")) == "BLOCK_UNIFORM"
    assert found.divergence(found.stmt("for k", For)) == "BLOCK_UNIFORM"


def either(x, n):
    if x > n:
        return 1
    return 2


def calls(a, n):
    p = either(blockIdx.x, n)
    q = either(threadIdx.y, n)
    r = either(threadIdx.x, n)
    a[0] = p + q + r


def test_a_call_is_as_uniform_as_its_returns(analysed):
    found = analysed(calls)
    assert [found.kinds(name) for name in "pqr"] == [
        ["block-uniform"],
        ["vector-uniform"],
        ["varying"],
    ]
    scopes = [s for s in found.analysis.variability.divergence if isinstance(s, Scope)]
    levels = [found.divergence(s) for s in scopes]
    assert levels == ["BLOCK_UNIFORM", "VECTOR_UNIFORM", "VARYING"]


def loads(a, b, n):
    s = shared.array(64, "float32")
    t = local.array(4, "float32")
    p = b[n]
    q = b[threadIdx.y]
    r = b[threadIdx.x]
    a[threadIdx.x] = 1
    u = a[n]
    v = s[0]
    w = t[0]
    syncthreads()
    x = a[n]
    a[threadIdx.x] = p + q + r + u + v + w + x


def test_loads(analysed):
    """Memory that is written in the same phase is the same for a vector, which loads at once."""
    found = analysed(loads)
    assert {name: found.kinds(name)[0] for name in "pqruvwx"} == {
        "p": "block-uniform",
        "q": "vector-uniform",
        "r": "varying",
        "u": "vector-uniform",
        "v": "block-uniform",
        "w": "varying",
        "x": "vector-uniform",
    }


def views(a, n):
    same = a[n]
    mine = a[threadIdx.x]
    p = same[0, 0]
    q = mine[0, 0]
    deeper = mine[0]
    r = deeper[1]
    s = same[1]
    t = s[threadIdx.y]
    a[0, 0, 1] = p + q + r + t


def test_loads_through_views(analysed):
    found = analysed(views, a="float32[3]")
    assert {name: found.kinds(name)[0] for name in "pqrt"} == {
        "p": "vector-uniform",  # a is written in this phase
        "q": "varying",
        "r": "varying",
        "t": "vector-uniform",
    }
    views_found = {v.name: str(k) for v, k in found.analysis.variability.views.items()}
    assert views_found == {
        "same": "block-uniform",
        "mine": "varying",
        "deeper": "varying",
        "s": "block-uniform",
    }


def exchanges(a, n):
    x = a[threadIdx.x]
    one = shfl_sync(FULL, x, 0)
    down = shfl_down_sync(FULL, x, 1)
    same = shfl_down_sync(FULL, n, 1)
    partial = shfl_sync(3, x, 0)
    own = shfl_sync(FULL, x, threadIdx.x)
    vote = all_sync(FULL, x > 0)
    part = all_sync(threadIdx.x, x > 0)
    bits = ballot_sync(FULL, x > 0)
    mask, equal = match_all_sync(FULL, x)
    active = activemask()
    old = atomic.add(a, 0, 1)
    a[0] = one + down + same + partial + own + vote + part + bits + mask + equal + active + old


WARP = "one down same partial own vote part bits mask equal active old".split()


@pytest.mark.parametrize("lanes", [1, 8, 32])
def test_warp_operations(analysed, lanes):
    found = analysed(exchanges, shape=Shape((64, 1, 1), lanes))
    kinds = {name: found.kinds(name)[0] for name in WARP}
    uniform_in_vector = ["one", "vote", "bits", "mask", "equal", "active"]
    assert kinds == {
        **dict.fromkeys(WARP, "varying"),
        **dict.fromkeys(uniform_in_vector, "vector-uniform"),
        "same": "block-uniform",
    }


@pytest.mark.parametrize("shape", [Shape((64, 1, 1), 64), Shape((40, 2, 1), 32)], ids=str)
def test_a_vector_across_warps_shares_no_votes(analysed, shape):
    found = analysed(exchanges, shape=shape)
    assert {n for n in WARP if found.kinds(n)[0] != "varying"} == {"same"}


def lane_of_a_partial_warp(a):
    x = a[threadIdx.x]
    low = shfl_sync(FULL, x, 3)
    high = shfl_sync(FULL, x, 9)
    a[0] = low + high


def test_a_shuffle_from_a_lane_that_may_not_be_there_gives_ones_own_value(analysed):
    found = analysed(lane_of_a_partial_warp, shape=Shape((40, 1, 1), 8))
    assert [found.kinds(n)[0] for n in ("low", "high")] == ["vector-uniform", "varying"]

    def with_a_return(a, n):
        if threadIdx.x > n:
            return
        low = shfl_sync(FULL, a[threadIdx.x], 3)
        a[0] = low

    assert analysed(with_a_return, shape=Shape((64, 1, 1), 8)).kinds("low") == ["varying"]


def registers(a):
    x = threadIdx.x
    y = threadIdx.y
    z = threadIdx.z
    w = laneid
    a[0] = x + y + z + w


@pytest.mark.parametrize(
    ("shape", "kinds"),
    [
        (Shape((64, 4, 2), 16), "linear(1) vector-uniform vector-uniform linear(1)"),
        (Shape((20, 4, 2), 16), "linear(1) vector-uniform vector-uniform varying"),
        (Shape((20, 1, 1), 16), "linear(1) vector-uniform vector-uniform linear(1)"),
        (Shape((4, 8, 2), 16, rowwise=False), "varying varying vector-uniform linear(1)"),
        (Shape((5, 5, 2), 16, rowwise=False), "varying varying varying linear(1)"),
        (Shape((32, 5, 2), 16, rowwise=False), "linear(1) vector-uniform vector-uniform linear(1)"),
        (Shape((5, 5, 2)), "linear(1) vector-uniform vector-uniform linear(1)"),
    ],
    ids=str,
)
def test_registers(analysed, shape, kinds):
    found = analysed(registers, shape=shape)
    assert [found.kinds(name)[0] for name in "xyzw"] == kinds.split()


def lazy(a, b, n):
    i = threadIdx.x
    p = b[0] if n > 3 else b[1]
    q = b[0] if i > 3 else b[1]
    r = i if n > 3 else i + 1
    s = n > 3 and b[0] > 1
    t = i > 3 and b[0] > 1
    a[0] = p + q + r + s + t


def test_lazy_expressions(analysed):
    found = analysed(lazy)
    assert [found.kinds(name)[0] for name in "pqrst"] == [
        "block-uniform",
        "varying",
        "linear(1)",
        "block-uniform",
        "varying",
    ]
    inner = found.expr("t = i > 3", Load)
    assert found.kind(inner) == "block-uniform"  # what it is where it is evaluated


def nested(a, n):
    for i in range(n):
        if threadIdx.y > i:
            while a[threadIdx.x] > 0:
                a[threadIdx.x] -= 1
            a[threadIdx.x] = 3


def test_the_reasons_why_threads_are_apart(analysed):
    found = analysed(nested)
    causes = found.analysis.variability.causes
    assert [type(c.stmt) for c in causes[found.stmt("a[threadIdx.x] -= 1", Store)]] == [If, While]
    assert [type(c.stmt) for c in causes[found.stmt("a[threadIdx.x] = 3", Store)]] == [If]
    assert found.control(found.stmt("-= 1", Store)) == "VARYING"
    assert found.control(found.stmt("= 3", Store)) == "VECTOR_UNIFORM"
    assert found.control(found.stmt("if threadIdx.y", If)) == "BLOCK_UNIFORM"
    assert found.divergence(found.stmt("if threadIdx.y", If)) == "VECTOR_UNIFORM"


def unassigned(a, n):
    if n > 3:
        x = threadIdx.x
    y = x + 1
    if n < 2:
        z = 3
    a[0] = y + z


def test_a_name_without_a_value_is_a_uniform_zero(analysed):
    found = analysed(unassigned)
    assert found.kinds("x") == ["varying"]
    assert found.kinds("z") == ["block-uniform"]
