"""What the reference raises: names, indices, shapes, blocks, threads, files and lines."""

from __future__ import annotations

import inspect
import pickle
import traceback

import numpy as np
import pytest

from kernelkit import errors
from kernelkit.frontend.builtins import (
    atomic,
    grid,
    local,
    shared,
    syncthreads,
    syncthreads_count,
    threadIdx,
    uniform,
)


def line_of(function, marker):
    """The number of the function's line that contains the marker."""
    lines, first = inspect.getsourcelines(function)
    (found,) = [i for i, text in enumerate(lines) if marker in text]
    return first + found


def shift(src, dst):
    i = grid(1)
    dst[i] = src[i + 1]


def test_load_outside(launch):
    src, dst = np.arange(8.0), np.zeros(8)
    with pytest.raises(errors.OutOfBoundsError) as raised:
        launch(shift, 2, 4, src, dst)
    fault = raised.value
    assert fault.span.file == __file__
    assert fault.span.line == line_of(shift, "src[i + 1]")
    assert fault.message.startswith("src[8] is outside src, whose shape is (8,)")
    assert (fault.block, fault.thread) == ((1, 0, 0), (3, 0, 0))
    assert "(block (1, 0, 0), thread (3, 0, 0))" in str(fault)
    assert "^^^^^^^^^^" in str(fault)
    assert isinstance(fault, IndexError)
    assert dst.tolist() == [1, 2, 3, 4, 5, 6, 7, 0]


def test_traceback_ends_at_the_users_line_with_carets(launch):
    with pytest.raises(errors.OutOfBoundsError) as raised:
        launch(shift, 2, 4, np.arange(8.0), np.zeros(8))
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, last.lineno, last.name) == (
        __file__, line_of(shift, "src[i + 1]"), "shift",
    )  # fmt: skip
    text = "".join(traceback.format_exception(raised.value))
    assert "    dst[i] = src[i + 1]\n             ~~~^^^^^^^\n" in text
    assert "During handling" not in text


def test_faults_can_be_pickled(launch):
    with pytest.raises(errors.OutOfBoundsError) as raised:
        launch(shift, 2, 4, np.arange(8.0), np.zeros(8))
    copy = pickle.loads(pickle.dumps(raised.value))
    assert (str(copy), copy.thread) == (str(raised.value), raised.value.thread)


def test_store_outside_names_index_and_shape(launch):
    def kernel(dst):
        dst[threadIdx.x, threadIdx.y + 2] = 1.0

    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[0, 3\] is outside dst.*\(3, 3\)"):
        launch(kernel, 1, (2, 2), np.zeros((3, 3), np.float32))


def test_negative_index_wraps_once(launch):
    def kernel(dst, i):
        dst[i] = i

    dst = np.zeros(4, np.int32)
    launch(kernel, 1, 1, dst, -4)
    assert dst.tolist() == [-4, 0, 0, 0]
    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[-5\]"):
        launch(kernel, 1, 1, dst, -5)


def test_negative_index_without_wraparound(launch):
    def kernel(dst, i):
        dst[i] = i

    dst = np.zeros(4, np.int32)
    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[-1\]"):
        launch(kernel, 1, 1, dst, -1, wraparound=False)
    launch(kernel, 1, 1, dst, 3, wraparound=False)
    assert dst.tolist() == [0, 0, 0, 3]


def test_unsigned_index_beyond_every_integer(launch):
    def kernel(dst, i):
        dst[i] = 1

    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[18446744073709551615\]"):
        launch(kernel, 1, 1, np.zeros(4, np.int32), np.uint64(2**64 - 1))


def test_atomic_and_view_outside(launch):
    def add(dst):
        atomic.add(dst, threadIdx.x, 1)

    def view(dst):
        row = dst[threadIdx.x]
        row[0] = 1

    def through_view(dst):
        row = dst[0]
        row[threadIdx.x] = 1

    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[4\] is outside dst"):
        launch(add, 1, 8, np.zeros(4, np.int32))
    with pytest.raises(errors.OutOfBoundsError, match=r"dst\[2\] is outside dst.*\(2, 3\)"):
        launch(view, 1, 8, np.zeros((2, 3), np.int32))
    with pytest.raises(errors.OutOfBoundsError, match=r"row\[3\] is outside row.*\(3,\)"):
        launch(through_view, 1, 8, np.zeros((2, 3), np.int32))


def test_lazy_operands_never_load(launch):
    def kernel(src, dst):
        i = grid(1)
        if i < 4 and src[i] > 0:
            dst[i] = src[i] if i < 4 else src[i + 100]

    src, dst = np.ones(4), np.zeros(4)
    launch(kernel, 1, 8, src, dst)
    assert dst.tolist() == [1, 1, 1, 1]


def test_unassigned_name(launch):
    def kernel(dst, n):
        if n > 3:
            value = n
        dst[0] = value + 1

    dst = np.zeros(1, np.int64)
    launch(kernel, 1, 1, dst, 4)
    assert dst[0] == 5
    with pytest.raises(errors.UnassignedError, match="value is read before") as raised:
        launch(kernel, 1, (2, 2), dst, 3)
    assert raised.value.span.line == line_of(kernel, "value + 1")
    assert raised.value.span.excerpt().endswith("^^^^^")
    assert raised.value.thread == (0, 0, 0)


def pick(x):
    if x > 0:
        chosen = x
    return chosen


def test_unassigned_name_of_an_inlined_function(launch):
    def kernel(dst, n):
        syncthreads()
        dst[0] = pick(n)

    with pytest.raises(errors.UnassignedError, match="chosen of pick is read") as raised:
        launch(kernel, 1, 1, np.zeros(1, np.int64), 0)
    assert raised.value.span.line == line_of(pick, "return chosen")


def test_failed_assert(launch):
    def kernel(src):
        i = grid(1)
        assert src[i] > 0, f"src[{i}] is {src[i]:.2f}"
        assert i < 5

    with pytest.raises(errors.KernelAssertionError) as raised:
        launch(kernel, 1, 4, np.array([1, 2, -3.5, 4]))
    assert raised.value.message == "assertion failed: src[2] is -3.50"
    assert raised.value.span.line == line_of(kernel, "assert src")
    assert raised.value.thread == (2, 0, 0)
    assert isinstance(raised.value, AssertionError)
    with pytest.raises(errors.KernelAssertionError, match="assertion failed"):
        launch(kernel, 1, 8, np.ones(8))


def test_step_of_zero(launch):
    def kernel(dst, step):
        for i in range(0, 4, step):
            dst[i] = 1

    dst = np.zeros(4)
    launch(kernel, 1, 1, dst, 2)
    assert dst.tolist() == [1, 0, 1, 0]
    with pytest.raises(errors.ZeroStepError) as raised:
        launch(kernel, 1, 1, dst, 0)
    assert raised.value.span.line == line_of(kernel, "for i")


def test_spin_lock_runs_out_of_steps(launch):
    def kernel(lock):
        while atomic.cas(lock, 0, 0, 1) != 0:
            pass

    with pytest.raises(errors.StepBudgetError, match="waits for another thread") as raised:
        launch(kernel, 1, 2, np.zeros(1, np.int32))
    assert raised.value.span.line == line_of(kernel, "while")
    assert raised.value.thread == (1, 0, 0)


def test_spin_on_memory_runs_out_of_steps(launch):
    def kernel(flag):
        while flag[0] == 0:
            continue

    with pytest.raises(errors.StepBudgetError):
        launch(kernel, 1, 1, np.zeros(1, np.int32))


def test_spin_with_barriers_runs_out_of_steps(launch):
    def kernel(flag):
        while uniform(flag[0] == 0):
            syncthreads()

    with pytest.raises(errors.StepBudgetError):
        launch(kernel, 1, 8, np.zeros(1, np.int32))


def test_spin_in_a_range_runs_out_of_steps(launch, monkeypatch):
    def kernel(flag, n):
        for _ in range(n):
            if flag[0] != 0:
                break

    monkeypatch.setenv("KERNELKIT_STEP_BUDGET", "1000")
    launch(kernel, 1, 1, np.zeros(1, np.int32), 8000)
    with pytest.raises(errors.StepBudgetError):
        launch(kernel, 1, 1, np.zeros(1, np.int32), 8001)
    launch(kernel, 1, 1, np.ones(1, np.int32), 2**62)


def test_step_budget_is_the_environments(launch, monkeypatch):
    def kernel(dst, n):
        i = 0
        while i < n:
            i += 1
        dst[0] = i

    dst = np.zeros(1, np.int64)
    monkeypatch.setenv("KERNELKIT_STEP_BUDGET", "100")
    launch(kernel, 1, 1, dst, 98)
    assert dst[0] == 98
    with pytest.raises(errors.StepBudgetError, match="KERNELKIT_STEP_BUDGET"):
        launch(kernel, 1, 1, dst, 101)
    for wrong in ("-1", "0", "many"):
        monkeypatch.setenv("KERNELKIT_STEP_BUDGET", wrong)
        with pytest.raises(errors.ConfigurationError, match="whole number of steps"):
            launch(kernel, 1, 1, dst, 1)


def test_uniform_that_is_not(launch):
    def kernel(src):
        x = uniform(src[threadIdx.x])

    launch(kernel, 1, 4, np.full(4, np.nan))
    with pytest.raises(errors.DivergenceError) as raised:
        launch(kernel, 1, 4, np.array([1, 1, 2, 1]))
    assert "thread (0, 0, 0) has 1 and thread (2, 0, 0) has 2" in raised.value.message
    assert raised.value.span.line == line_of(kernel, "uniform")


def test_uniform_is_compared_turn_by_turn_and_phase_by_phase(launch):
    def kernel(n):
        for i in range(n):
            x = uniform(i)
        syncthreads()
        if threadIdx.x > 0:
            x = uniform(n)

    launch(kernel, 2, 4, 3)


def diverge(dst):
    if threadIdx.x < 4:
        syncthreads()
    if threadIdx.x == 5:
        return
    syncthreads()


def test_barrier_that_not_all_reach(launch):
    with pytest.raises(errors.DivergenceError) as raised:
        launch(diverge, 1, 8, np.zeros(8))
    message = raised.value.message
    first = line_of(diverge, "        syncthreads()")
    last = inspect.getsourcelines(diverge)[1] + len(inspect.getsourcelines(diverge)[0]) - 1
    assert (
        f"4 threads, (0, 0, 0) to (3, 0, 0), wait in syncthreads at {__file__}:{first}" in message
    )
    assert (
        f"3 threads, (4, 0, 0), (6, 0, 0) to (7, 0, 0), wait in syncthreads at {__file__}:{last}"
        in message
    )
    assert "thread (5, 0, 0) has returned" in message
    frame = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (frame.filename, frame.lineno) == (__file__, first)


def test_threads_that_returned_do_not_hold_up_a_barrier(launch):
    def kernel(dst):
        i = threadIdx.x
        if i >= 40:
            return
        dst[i] = syncthreads_count(i % 2 == 0)

    dst = np.zeros(64, np.int32)
    launch(kernel, 1, 64, dst)
    assert dst.tolist() == [20] * 40 + [0] * 24


def test_unwritten_shared_and_local_memory_is_poison(launch):
    def kernel(floats, ints):
        tile = shared.array(4, np.float32)
        mine = local.array((2, 2), np.float64)
        counts = shared.array(4, np.int32)
        i = threadIdx.x
        floats[i] = tile[i] + mine[1, i % 2]
        ints[i] = counts[i]
        tile[i] = 1
        counts[i] = 0
        mine[1, 0] = 1

    floats, ints = np.zeros(8, np.float32), np.zeros(8, np.int32)
    launch(kernel, 2, 4, floats[:4], ints[:4])
    assert np.isnan(floats[:4]).all()
    assert (ints[:4] > 2**30).all()


def test_other_exceptions_pass_and_leave_everything_usable(launch, monkeypatch):
    class Stop(BaseException):
        pass

    def hook():
        raise Stop

    def kernel(dst):
        syncthreads()
        breakpoint()
        dst[threadIdx.x] = 1

    before = np.geterr()
    dst = np.zeros(4)
    monkeypatch.setattr("sys.breakpointhook", hook)
    with pytest.raises(Stop):
        launch(kernel, 1, 4, dst)
    assert np.geterr() == before
    monkeypatch.setattr("sys.breakpointhook", lambda: None)
    launch(kernel, 1, 4, dst)
    assert dst.tolist() == [1, 1, 1, 1]
