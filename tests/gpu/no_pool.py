"""A pytest plugin: CuPy without its pool of memory, so that each array is an allocation of its own
and compute-sanitizer sees what is written beside it."""

try:
    import cupy
except ImportError:
    pass
else:
    cupy.cuda.set_allocator(None)
