"""Barriers, fences and warp operations of CUDA, from sm_70 on.

Holds: lanes that have returned or never were do not vote, as PTX has it for all of these; a shuffle
from one of them is undefined there, so the printer asks who is there first.
"""

from __future__ import annotations

from typing import Final

from kernelkit.emit.cstyle.warps import WarpTable

WARPS: Final = WarpTable(
    attributes="",
    enable="",
    functions={},
    scratch={},
    ballot="__ballot_sync({mask}, {p})",
    given=dict.fromkeys((32, 64), "__shfl_sync({mask}, {value}, (int){source})"),
    match="__match_any_sync({mask}, {value})",
    sync="__syncwarp({mask});",
    active="__activemask()",
    native={
        "all": "(__all_sync({mask}, {p}) != 0)",
        "any": "(__any_sync({mask}, {p}) != 0)",
        "eq": "((__all_sync({mask}, {p}) != 0) | (__any_sync({mask}, {p}) == 0))",
        "shfl_up": "__shfl_up_sync({mask}, {value}, {delta})",
        "shfl_down": "__shfl_down_sync({mask}, {value}, {delta})",
        "shfl_xor": "__shfl_xor_sync({mask}, {value}, {delta})",
        "match_all": "{lanes} = __match_all_sync({mask}, {value}, &{same});",
    },
    barriers={
        "sync": "__syncthreads()",
        "count": "__syncthreads_count({p})",
        "and": "(__syncthreads_and({p}) != 0)",
        "or": "(__syncthreads_or({p}) != 0)",
    },
    fences={
        "block": "__threadfence_block();",
        "device": "__threadfence();",
        "system": "__threadfence_system();",
    },
    to_bits={"f32": "__float_as_uint({value})", "f64": "(u64)__double_as_longlong({value})"},
    from_bits={"f32": "__uint_as_float({value})", "f64": "__longlong_as_double((i64)({value}))"},
)
