"""Random kernels: the pipeline takes them all, prints them stably, and no order of threads shows."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import kernelkit as kk
import kernelkit_python
from kernelkit.frontend.promotion import PromotionError, ScalarType
from kernelkit.frontend.promotion import promote as promote_in_front_end
from kernelkit.ir.types import DTYPES, DType
from kernelkit.testing.comparison import assert_bits_equal
from kernelkit.testing.generator import GeneratedKernel, Profile, generate, kernels
from kernelkit.testing.generator_arguments import LAYOUTS, READ_LAYOUTS, array
from kernelkit.testing.generator_types import literals, promote

UNHURRIED = settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def written_in(order: str, seed: int, kernel: GeneratedKernel, module: Any) -> tuple[Any, ...]:
    with kk.use("python"), kernelkit_python.schedule(order=order, seed=seed):
        return kernel.run(module)


def check_orders(kernel: GeneratedKernel, seed: int) -> None:
    module = kernel.module()
    forward = written_in("forward", 0, kernel, module)
    for order in ("reverse", "random"):
        other = written_in(order, seed, kernel, module)
        for position, (a, b) in enumerate(zip(forward, other, strict=True)):
            if isinstance(a, np.ndarray):
                assert_bits_equal(b, a, f"argument {position}, threads in {order} order")


def printed(kernel: GeneratedKernel) -> str:
    module = kernel.module()
    return module.kernel.inspect(
        *module.arguments(), grid=kernel.grid, block=kernel.block, backend="python"
    )


@UNHURRIED
@given(kernels(), st.integers(0, 1000))
def test_two_orders_of_blocks_and_threads_agree(kernel: GeneratedKernel, seed: int) -> None:
    check_orders(kernel, seed)


@pytest.mark.parametrize("start", range(0, 300, 50))
def test_seeds_give_kernels_whose_order_does_not_show(start: int) -> None:
    for seed in range(start, start + 50):
        kernel = generate(seed)
        try:
            check_orders(kernel, seed)
        except Exception as error:
            error.add_note(f"seed {seed}\n{kernel!r}")
            raise


@settings(UNHURRIED, max_examples=60)
@given(kernels())
def test_the_printed_form_is_stable(kernel: GeneratedKernel) -> None:
    assert printed(kernel) == printed(kernel)


def test_a_profile_leaves_out_what_it_says() -> None:
    profile = Profile(dtypes=("int32", "float32"), barriers=False, warps=False, atomics=False)
    for seed in range(100):
        source = generate(seed, profile).source
        assert not re.search(r"syncthreads|shared\.array|_sync\(|atomic\.|complex|int16", source)


def test_equal_seeds_give_equal_kernels() -> None:
    assert [generate(s) for s in range(30)] == [generate(s) for s in range(30)]
    assert len({generate(s).source for s in range(30)}) == 30


def test_a_failure_shows_the_whole_program() -> None:
    kernel = generate(3)
    assert kernel.source in repr(kernel)


def test_the_text_runs_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    kernel = generate(3)
    kernel.module()  # Registers the source under its file name.
    with kk.use("python"):
        exec(compile(kernel.source, kernel.file, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


#: What the kernels of a few hundred seeds must hold, or the generator has lost it.
FEATURES = (
    r"syncthreads\(\)", r"syncthreads_count", r"syncthreads_and", r"syncthreads_or", r"shared\.array\(0,",
    r"shared\.array\(\(", r"local\.array", r"const\.array_like", r"kk\.uniform", r"\bTABLE\d\[",
    r"atomic\.add", r"atomic\.inc", r"= kk\.atomic\.cas", r"= kk\.atomic\.exch", r"shfl_sync",
    r"shfl_up_sync", r"shfl_down_sync", r"shfl_xor_sync", r"ballot_sync", r"match_any_sync",
    r"match_all_sync", r"laneid < ", r"\bwhile ", r"while True", r"for k\d+ in \(", r"for j in range",
    r"break$", r"continue$", r"^    +else:$", r"elif ", r"return$", r"^    return .*, ", r":= ",
    r"function\d\(.*x\d=", r"\bput\(", r"w\d+ = a\d", r"w\d+ = o\d", r"w\d+\[.*\] \+?= ", r"\bassert ",
    r": kk\.constexpr", r"\bweak\b", r"complex64", r"float16", r"bool", r"0 <= ", r"\bfma\(",
    r"range\(.*, .*, -", r"range\(.*, .*, .* % 3 \+ 1\)", r"threadIdx\.z", r"kk\.grid\(2\)", r"kk\.grid\(3\)",
    *(f'"{layout}"' for layout in READ_LAYOUTS),
)  # fmt: skip


def test_the_language_is_covered() -> None:
    everything = "\n".join(generate(seed).source for seed in range(500))
    missing = [f for f in FEATURES if not re.search(f, everything, re.MULTILINE)]
    assert not missing


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES.values(), repeat=2)), ids=str)
def test_types_meet_as_in_the_front_end(a: DType, b: DType) -> None:
    try:
        expected = promote_in_front_end(ScalarType(a), ScalarType(b)).dtype
    except PromotionError:
        expected = None
    assert promote(a, b) == expected


@pytest.mark.parametrize("dtype", [t for t in DTYPES.values() if t.is_integer], ids=str)
def test_literals_fit(dtype: DType) -> None:
    values = [int(text) for text in literals(dtype)]
    assert all(dtype.minimum <= v <= dtype.maximum for v in values)
    assert {dtype.minimum, dtype.maximum} <= set(values)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout", READ_LAYOUTS)
def test_arrays_have_their_layout_and_equal_contents(dtype: str, layout: str) -> None:
    made = array(dtype, (3, 5), 7, layout)
    assert (made.dtype, made.shape) == (np.dtype(dtype), (3, 5))
    assert made.flags.writeable == (layout in LAYOUTS)
    assert made.flags.c_contiguous == (layout in ("C", "readonly"))
    assert_bits_equal(array(dtype, (3, 5), 7, layout), made)
    if layout != "repeated":
        assert_bits_equal(array(dtype, (3, 5), 7, "C"), made)
