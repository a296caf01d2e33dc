"""The tests that every back end passes: what the language contract says, rule by rule.

    pytest --pyargs kernelkit.conformance --kernelkit-backend=NAME

In: a back end found through the entry points. Out: passed, failed, or skipped with what its device
declares that it cannot do (`kernelkit.backend.Capabilities`).
Holds: expected values come from Python and NumPy, never from kernelkit; inputs are fresh random
ones (a failing test shows the seed for --kernelkit-seed); what a kernel should write is filled with
a pattern before the launch, and so is the memory on both sides of every array, which must not
change. Results of inexact operations are compared with a tolerance, for contraction of a
multiplication and an addition is allowed; only reproducible kernels are held to the bit.
"""
