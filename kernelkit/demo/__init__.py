"""The demo: a real image through three kernels on every back end, checked against the peers.

`kernels` are written in the public API only, `cases` say what each must equal, `images` reads
pictures, `run` does and times the work, `report` shows it.
"""
