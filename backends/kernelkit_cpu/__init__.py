"""The CPU back end, `cpu`: a block is a loop, a warp is a vector."""
