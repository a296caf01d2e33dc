"""What tests of kernels and of back ends need: a pytest plugin, comparison of results, generators.

Holds: importing this package imports neither pytest nor hypothesis.
"""
