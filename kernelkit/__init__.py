"""One kernel, written once in CUDA-style Python, on every device.

    import numpy as np
    import kernelkit as kk

    @kk.kernel
    def add(x, y, out):
        i = kk.grid(1)
        if i < out.size:
            out[i] = x[i] + y[i]

    x, out = np.arange(1000.0), np.empty(1000)
    add.forall(out.shape)(x, x, out)

The names below come in three groups: those that launch, those that kernels use, and what can go
wrong.
"""

from kernelkit.api import (
    Event,
    Stream,
    asarray,
    current_device,
    device,
    devices,
    empty,
    get_num_threads,
    kernel,
    set_num_threads,
    synchronize,
    to_numpy,
    use,
)
from kernelkit.errors import (
    ArgumentError,
    BackendError,
    CapabilityError,
    CompileError,
    ConfigurationError,
    Diagnostic,
    DivergenceError,
    InactiveLaneError,
    InternalError,
    KernelAssertionError,
    KernelError,
    KernelFault,
    LaunchError,
    OutOfBoundsError,
    OutsideKernelError,
    ReadOnlyError,
    SourceError,
    Span,
    StepBudgetError,
    UnassignedError,
    ZeroStepError,
)
from kernelkit.frontend.builtins import (
    activemask,
    all_sync,
    any_sync,
    atomic,
    ballot_sync,
    blockDim,
    blockIdx,
    brev,
    cbrt,
    clz,
    const,
    constexpr,
    double_as_longlong,
    eq_sync,
    ffs,
    float_as_int,
    fma,
    fmax,
    fmin,
    grid,
    gridDim,
    gridsize,
    int_as_float,
    laneid,
    lanemask_lt,
    local,
    longlong_as_double,
    match_all_sync,
    match_any_sync,
    popc,
    rsqrt,
    selp,
    shared,
    shfl_down_sync,
    shfl_sync,
    shfl_up_sync,
    shfl_xor_sync,
    syncthreads,
    syncthreads_and,
    syncthreads_count,
    syncthreads_or,
    syncwarp,
    threadfence,
    threadfence_block,
    threadfence_system,
    threadIdx,
    uniform,
    warpsize,
)
from kernelkit.version import __version__ as __version__

__all__ = [
    # Launching.
    "kernel", "device", "use", "devices", "current_device",
    "asarray", "empty", "to_numpy", "synchronize", "Stream", "Event",
    "set_num_threads", "get_num_threads",
    # Inside kernels.
    "threadIdx", "blockIdx", "blockDim", "gridDim", "grid", "gridsize", "laneid", "warpsize",
    "shared", "local", "const", "constexpr",
    "syncthreads", "syncthreads_count", "syncthreads_and", "syncthreads_or", "syncwarp",
    "threadfence", "threadfence_block", "threadfence_system", "atomic",
    "shfl_sync", "shfl_up_sync", "shfl_down_sync", "shfl_xor_sync",
    "all_sync", "any_sync", "eq_sync", "ballot_sync", "match_any_sync", "match_all_sync",
    "activemask", "lanemask_lt",
    "popc", "clz", "ffs", "brev",
    "float_as_int", "int_as_float", "double_as_longlong", "longlong_as_double",
    "fma", "cbrt", "rsqrt", "fmin", "fmax", "selp", "uniform",
    # What can go wrong.
    "KernelError", "CompileError", "SourceError", "LaunchError", "ArgumentError",
    "ConfigurationError", "ReadOnlyError", "CapabilityError", "BackendError", "InternalError", "OutsideKernelError",
    "KernelFault", "OutOfBoundsError", "KernelAssertionError", "DivergenceError",
    "UnassignedError", "StepBudgetError", "ZeroStepError", "InactiveLaneError",
    "Diagnostic", "Span",
]  # fmt: skip
