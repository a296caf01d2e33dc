"""Live ranges: where names split and join, where they may be unassigned, what threads wait for."""

from kernelkit.analysis.webs import Place, find_webs
from kernelkit.errors import Span
from kernelkit.frontend.builtins import atomic, shfl_sync, syncthreads_count, threadIdx
from kernelkit.ir.nodes import (
    Assign,
    Atomic,
    Barrier,
    Constant,
    For,
    If,
    Kernel,
    Options,
    Read,
    Scope,
    Store,
    Var,
    Warp,
    While,
)
from kernelkit.ir.types import INT64

HERE = Span(__file__, 1)


def number(value):
    return Constant(HERE, INT64, value)


def kernel(*body, params=()):
    return Kernel("by_hand", params, body, HERE, Options())


def lines(web, function):
    """The definitions of a web, as lines below its function's `def`."""
    return [d.span.line - function.__code__.co_firstlineno for d in web.definitions]


def reuse(a, n):
    t = n + 1
    a[0] = t
    t = n + 2
    a[1] = t


def test_a_name_used_again_is_another_web(analysed):
    found = analysed(reuse)
    assert [lines(w, reuse) for w in found.webs("t")] == [[1], [3]]


def branches(a, n):
    if n > 3:
        t = 1
    else:
        t = 2
    a[0] = t


def test_definitions_that_reach_one_read_are_united(analysed):
    (web,) = analysed(branches).webs("t")
    assert lines(web, branches) == [2, 4]
    assert not web.may_be_unassigned


def separate_arms(a, n):
    if n > 3:
        t = 1
        a[0] = t
    else:
        t = 2
        a[1] = t


def test_arms_that_meet_no_read_stay_apart(analysed):
    assert [lines(w, separate_arms) for w in analysed(separate_arms).webs("t")] == [[2], [5]]


def loop(a, n):
    s = 0
    for i in range(n):
        s += i
        t = s
        a[i] = t
    a[0] = s


def test_a_loop_carries_a_name_round(analysed):
    found = analysed(loop)
    assert [lines(w, loop) for w in found.webs("s")] == [[1, 3]]
    assert [lines(w, loop) for w in found.webs("t")] == [[4]]
    (counter,) = found.webs("i")
    assert isinstance(counter.definitions[0], For)
    assert not counter.merges  # nobody reads it after the loop


def breaking(a, n):
    x = 0
    while True:
        x = n
        if a[x] > 0:
            x = 1
            break
        if a[x] > 1:
            x = 2
            continue
        x = 3
        if a[x] > 2:
            return
    a[0] = x


def test_jumps_carry_their_definitions_to_where_they_lead(analysed):
    found = analysed(breaking)
    (after,) = [w for w in found.webs("x") if 5 in lines(w, breaking)]
    assert lines(after, breaking) == [5]  # x = 2 and x = 3 are overwritten, x = 0 is not read
    assert sorted(n for w in found.webs("x") for n in lines(w, breaking)) == [1, 3, 5, 8, 10]


def parameter(a, n):
    if a[0] > 0:
        n = 3
    a[1] = n


def test_a_parameter_is_a_definition(analysed):
    found = analysed(parameter)
    (web,) = found.webs("n")
    assert web.is_parameter
    assert found.analysis.webs.parameters[web.var] is web
    assert not web.may_be_unassigned


def results(a, n):
    old = atomic.add(a, 0, 1)
    c = syncthreads_count(n > 3)
    v = shfl_sync(0xFFFFFFFF, old, 0)
    a[1] = v + c


def test_results_of_statements_are_definitions(analysed):
    definitions = analysed(results).analysis.webs.definitions
    assert {type(stmt) for stmt, _ in definitions} == {Assign, Atomic, Barrier, Warp}


def prelude(a, n):
    while syncthreads_count(a[threadIdx.x] > n) > 3:
        n += 1
    a[0] = n


def test_a_prelude_runs_before_each_test(analysed):
    found = analysed(prelude)
    loop_stmt = found.stmt("while", While)
    assert loop_stmt.prelude
    (web,) = found.webs("n")
    assert web.is_parameter
    assert lines(web, prelude) == [2]
    assert not found.analysis.webs.unassigned


def maybe(a, n):
    if n > 3:
        x = 1.0
    a[0] = x
    for i in range(n):
        y = 2.0
    a[1] = y
    for i in range(4):
        z = 3.0
    a[2] = z
    while True:
        w = 4.0
        if a[2] > w:
            break
    a[3] = w
    if n > 5:
        v = 5.0
    else:
        return
    a[4] = v


def test_names_that_may_be_unassigned(analysed):
    found = analysed(maybe)
    assert {r.var.name for r in found.analysis.webs.unassigned} == {"x", "y"}
    assert all(w.may_be_unassigned == (w.var.name in "xy") for w in found.analysis.webs.webs)


def last_value(a, n):
    for i in range(3):
        a[i] = 1
    a[3] = i
    for j in range(n):
        a[j] = 1
    a[3] = j


def test_a_loop_variable_after_its_loop(analysed):
    found = analysed(last_value)
    assert {r.var.name for r in found.analysis.webs.unassigned} == {"j"}
    (web,) = found.webs("i")
    assert [m.place for m in web.merges] == [Place.END]


def early(x):
    if x > 3:
        return 1.0
    y = x * 2.0
    return y


def inlined(a, n):
    a[0] = early(a[1])


def test_the_result_of_a_call_that_returns_early_is_one_web(analysed):
    found = analysed(inlined)
    scope = found.stmt("def early", Scope)
    (result,) = [w for w in found.analysis.webs.webs if len(w.definitions) == 2]
    assert [m.stmt for m in result.merges] == [scope]


def waiting(a, n):
    x = n
    if a[threadIdx.x] > 0:
        for _ in range(2):
            x += 1
            a[x] = 1
    else:
        a[0] = x


def test_threads_wait_with_a_value_that_others_assign_to(analysed):
    """x is not read after the branch, yet one slot cannot serve both arms of a vector."""
    found = analysed(waiting)
    (web,) = found.webs("x")
    assert Place.ELSE in [m.place for m in web.merges]
    assert web in found.analysis.variability.blended


def returning(a, n):
    x = n
    if a[threadIdx.x] > 0:
        x = 1
        a[0] = x
        return
    a[1] = x


def test_who_only_assigns_to_another_web_disturbs_nobody(analysed):
    found = analysed(returning)
    assert [w.merges for w in found.webs("x")] == [(), ()]
    assert found.kinds("x") == ["block-uniform", "block-uniform"]


def test_code_that_is_never_reached_has_webs_too():
    x = Var("x", INT64)
    dead_read = Read(HERE, INT64, x)
    first, last = Assign(HERE, x, number(1)), Assign(HERE, x, dead_read)
    branch = If(HERE, Constant(HERE, Var("c", INT64).type, 0), (last,), ())
    webs = find_webs(kernel(first, branch))
    assert webs.reads[dead_read] is not webs.definitions[first, x]
    assert webs.definitions[last, x].definitions == (last,)


def test_a_node_in_two_places_is_a_read_of_both():
    x = Var("x", INT64)
    shared_read = Read(HERE, INT64, x)
    one, two = Assign(HERE, x, number(1)), Assign(HERE, x, number(2))
    y, z = Var("y", INT64), Var("z", INT64)
    webs = find_webs(kernel(one, Assign(HERE, y, shared_read), two, Assign(HERE, z, shared_read)))
    assert webs.reads[shared_read].definitions == (one, two)


def test_every_read_and_definition_has_a_web(analysed):
    for function in (reuse, loop, breaking, results, prelude, maybe, inlined, waiting):
        analysis = analysed(function).analysis
        in_webs = {(d, w.var) for w in analysis.webs.webs for d in w.definitions}
        assert in_webs == set(analysis.webs.definitions)
        assert set(analysis.webs.reads.values()) <= set(analysis.webs.webs)
        assert [w.number for w in analysis.webs.webs] == list(range(len(analysis.webs.webs)))


def store_only(a):
    a[0] = 1


def test_a_kernel_without_names(analysed):
    found = analysed(store_only)
    assert found.analysis.webs.webs == ()
    assert isinstance(found.stmt("a[0] = 1"), Store)
