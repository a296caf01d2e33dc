"""The native launch, in LLVM text: a built-in function of Python that runs one plan.

In: where CPython keeps things. Out: the text of `launch`, which reads the arguments, shares the blocks
out, looks for signals and tells how it ended; `poll`, which kernels call; and `select_pool`.
Holds: the record lies on the caller's stack, with what only the caller's thread uses before it. The GIL
is held while arguments are read and callbacks run; a launch that was short last time keeps it, for
those who give it up may wait for milliseconds to have it back.
"""

from __future__ import annotations

from string import Template
from typing import Final

from kernelkit_cpu import pool_code, record

#: A launch that takes less is not worth a second thread, nor giving up the GIL, in nanoseconds. One
#: that would have to wake threads must take three times as long as that.
SHORT: Final = 10_000
#: Scratch memory larger than this is not kept between launches.
MOST_SPARE: Final = 64 << 20

#: What the text calls of CPython.
PYTHON_FUNCTIONS: Final = (
    "PyBytes_FromStringAndSize", "PyErr_CheckSignals", "PyErr_Fetch", "PyErr_NoMemory",
    "PyErr_Occurred", "PyErr_Restore", "PyEval_RestoreThread", "PyEval_SaveThread",
    "PyFloat_AsDouble", "PyLong_AsUnsignedLongLongMask", "PyLong_FromLongLong", "PyObject_IsTrue",
    "PyType_IsSubtype",
)  # fmt: skip

#: What `launch` gives for a launch that ran to its end, and for one that a fork lost threads of.
ENDED, LOST = 0, 1
#: What it gives for a wrong argument: this, minus its number.
WRONG: Final = -1


def launch_text() -> str:
    """The text; `pool_code.pool_text` belongs to the same module."""
    constants = {name: value for name, value in vars(record).items() if name.isupper()}
    return Template(_TEXT).substitute(
        constants,
        SHORT=SHORT,
        MOST_SPARE=MOST_SPARE,
        LOST=LOST,
        WRONG=WRONG,
        HEAD=object.__basicsize__,
        TYPE=object.__basicsize__ - 8,
        HIDDEN=16,
        **{
            name: getattr(pool_code, name)
            for name in (
                "THREADS", "SLEEPERS", "WAKING", "MAIN", "SPARE", "SPARES", "NEXT", "CLAIMED", "LOOK",
                "SLOT_BLOCKS", "SLOT_KERNEL", "SLOT_RECORD", "SLOT_THREADS",
                "SLOT_RATE", "SLOT_TIME", "SLOT_RUN", "SLOT_WORDS",
            )
        },
    )  # fmt: skip


_TEXT: Final = """
declare ptr @PyBytes_FromStringAndSize(ptr, i64)
declare i32 @PyErr_CheckSignals()
declare void @PyErr_Fetch(ptr, ptr, ptr)
declare ptr @PyErr_NoMemory()
declare ptr @PyErr_Occurred()
declare void @PyErr_Restore(ptr, ptr, ptr)
declare void @PyEval_RestoreThread(ptr)
declare ptr @PyEval_SaveThread()
declare double @PyFloat_AsDouble(ptr)
declare i64 @PyLong_AsUnsignedLongLongMask(ptr)
declare ptr @PyLong_FromLongLong(i64)
declare i32 @PyObject_IsTrue(ptr)
declare i32 @PyType_IsSubtype(ptr, ptr)
declare i64 @pthread_self()

@current = internal global ptr null

define void @select_pool(ptr %pool) {
  store atomic ptr %pool, ptr @current release, align 8
  ret void
}

; ---------------------------------------------------------------- signals
; Before the record: -1 Python's thread state while the GIL is given up, else null; -2 when the caller
; last looked; -3 whether it is the thread that handles signals; -6 to -4 an exception to raise.
define internal void @look(ptr %record, i64 %now) {
entry:
  %state.p = getelementptr i64, ptr %record, i64 -1
  %last.p = getelementptr i64, ptr %record, i64 -2
  %main.p = getelementptr i64, ptr %record, i64 -3
  %type.p = getelementptr i64, ptr %record, i64 -6
  store i64 %now, ptr %last.p
  %state = load ptr, ptr %state.p
  %held = icmp eq ptr %state, null
  %main = load i64, ptr %main.p
  %handles = icmp ne i64 %main, 0
  ; What ends a launch already is raised; signals wait until then.
  %running = load atomic i64, ptr %record monotonic, align 8
  %quiet = icmp eq i64 %running, $RUNNING
  %looks = and i1 %handles, %quiet
  br i1 %looks, label %take, label %release
take:
  br i1 %held, label %check, label %regain
regain:
  call void @PyEval_RestoreThread(ptr %state)
  store ptr null, ptr %state.p
  br label %check
check:
  %raised = call i32 @PyErr_CheckSignals()
  %fine = icmp eq i32 %raised, 0
  br i1 %fine, label %give.up, label %catch
catch:
  %value.p = getelementptr i64, ptr %record, i64 -5
  %trace.p = getelementptr i64, ptr %record, i64 -4
  call void @PyErr_Fetch(ptr %type.p, ptr %value.p, ptr %trace.p)
  %stop = cmpxchg ptr %record, i64 $RUNNING, i64 $CANCELLED monotonic monotonic
  br label %give.up
release:
  br i1 %held, label %give.up, label %end
give.up:
  %saved = call ptr @PyEval_SaveThread()
  store ptr %saved, ptr %state.p
  br label %end
end:
  ret void
}

define internal void @look_if_due(ptr %record, i64 %now) {
  %last.p = getelementptr i64, ptr %record, i64 -2
  %last = load i64, ptr %last.p
  %since = sub i64 %now, %last
  %due = icmp sge i64 %since, $LOOK
  br i1 %due, label %look, label %end
look:
  call void @look(ptr %record, i64 %now)
  br label %end
end:
  ret void
}

; What kernels call in long loops. Only the caller's thread may look.
define internal void @poll(ptr %record, i64 %worker) {
  %caller = icmp eq i64 %worker, 0
  br i1 %caller, label %look, label %end
look:
  %now = call i64 @now()
  call void @look_if_due(ptr %record, i64 %now)
  br label %end
end:
  ret void
}

define internal void @give_up_gil(ptr %record) {
  %state.p = getelementptr i64, ptr %record, i64 -1
  %state = load ptr, ptr %state.p
  %held = icmp eq ptr %state, null
  br i1 %held, label %give.up, label %end
give.up:
  %saved = call ptr @PyEval_SaveThread()
  store ptr %saved, ptr %state.p
  br label %end
end:
  ret void
}

; ---------------------------------------------------------------- arguments
; Whether an object is a NumPy array of so many axes; if so, its address, extents and strides are
; written, and %out points behind them.
define internal i1 @read_array(ptr %out, ptr %object, i64 %axes, ptr %ndarray) {
entry:
  %to = load ptr, ptr %out
  %type.p = getelementptr i8, ptr %object, i64 $TYPE
  %type = load ptr, ptr %type.p
  %exact = icmp eq ptr %type, %ndarray
  br i1 %exact, label %array, label %other
other:
  %derived = call i32 @PyType_IsSubtype(ptr %type, ptr %ndarray)
  %is = icmp ne i32 %derived, 0
  br i1 %is, label %array, label %wrong
array:
  %fields = getelementptr i8, ptr %object, i64 $HEAD
  %data = load i64, ptr %fields
  %axes.p = getelementptr i64, ptr %fields, i64 1
  %has = load i32, ptr %axes.p
  %has.wide = sext i32 %has to i64
  %fits = icmp eq i64 %has.wide, %axes
  br i1 %fits, label %read, label %wrong
read:
  store i64 %data, ptr %to
  %extents.p = getelementptr i64, ptr %fields, i64 2
  %strides.p = getelementptr i64, ptr %fields, i64 3
  %extents = load ptr, ptr %extents.p
  %strides = load ptr, ptr %strides.p
  %to.extents = getelementptr i64, ptr %to, i64 1
  %to.strides = getelementptr i64, ptr %to.extents, i64 %axes
  %behind = getelementptr i64, ptr %to.strides, i64 %axes
  store ptr %behind, ptr %out
  br label %test
test:
  %i = phi i64 [0, %read], [%i1, %each]
  %more = icmp slt i64 %i, %axes
  br i1 %more, label %each, label %right
each:
  %e.p = getelementptr i64, ptr %extents, i64 %i
  %e = load i64, ptr %e.p
  %te.p = getelementptr i64, ptr %to.extents, i64 %i
  store i64 %e, ptr %te.p
  %s.p = getelementptr i64, ptr %strides, i64 %i
  %s = load i64, ptr %s.p
  %ts.p = getelementptr i64, ptr %to.strides, i64 %i
  store i64 %s, ptr %ts.p
  %i1 = add i64 %i, 1
  br label %test
right:
  ret i1 true
wrong:
  ret i1 false
}

; Reads all arguments into the record. 0: done; 1: an exception is set; below: WRONG - number.
define internal i64 @read(ptr %plan, ptr %args, i64 %count, ptr %record) {
entry:
  %out = alloca ptr
  %first = getelementptr i64, ptr %record, i64 $PARAMETERS
  store ptr %first, ptr %out
  %kinds = getelementptr i64, ptr %plan, i64 $PLAN_KINDS
  %ndarray.p = getelementptr i64, ptr %plan, i64 $PLAN_NDARRAY
  %ndarray = load ptr, ptr %ndarray.p
  br label %test
test:
  %i = phi i64 [0, %entry], [%i1, %next]
  %more = icmp slt i64 %i, %count
  br i1 %more, label %each, label %done
each:
  %object.p = getelementptr ptr, ptr %args, i64 %i
  %object = load ptr, ptr %object.p
  %kind.p = getelementptr i64, ptr %kinds, i64 %i
  %kind = load i64, ptr %kind.p
  switch i64 %kind, label %array [
    i64 $KIND_BOOL, label %truth
    i64 $KIND_INTEGER, label %integer
    i64 $KIND_FLOAT32, label %number
    i64 $KIND_FLOAT64, label %number
  ]
array:
  %good = call i1 @read_array(ptr %out, ptr %object, i64 %kind, ptr %ndarray)
  br i1 %good, label %next, label %wrong
truth:
  %true = call i32 @PyObject_IsTrue(ptr %object)
  %true.wide = sext i32 %true to i64
  br label %scalar
integer:
  %int = call i64 @PyLong_AsUnsignedLongLongMask(ptr %object)
  br label %scalar
number:
  %double = call double @PyFloat_AsDouble(ptr %object)
  %refused = fcmp oeq double %double, -1.0
  %wide = bitcast double %double to i64
  %float = fptrunc double %double to float
  %bits = bitcast float %float to i32
  %narrow = zext i32 %bits to i64
  %is32 = icmp eq i64 %kind, $KIND_FLOAT32
  %word.f = select i1 %is32, i64 %narrow, i64 %wide
  br i1 %refused, label %doubt, label %store
scalar:
  %word.i = phi i64 [%true.wide, %truth], [%int, %integer]
  %refused.i = icmp eq i64 %word.i, -1
  br i1 %refused.i, label %doubt, label %store
doubt:
  %word.d = phi i64 [%word.f, %number], [%word.i, %scalar]
  %error = call ptr @PyErr_Occurred()
  %none = icmp eq ptr %error, null
  br i1 %none, label %store, label %raised
store:
  %word = phi i64 [%word.f, %number], [%word.i, %scalar], [%word.d, %doubt]
  %to = load ptr, ptr %out
  store i64 %word, ptr %to
  %behind = getelementptr i64, ptr %to, i64 1
  store ptr %behind, ptr %out
  br label %next
next:
  %i1 = add i64 %i, 1
  br label %test
done:
  ret i64 0
raised:
  ret i64 1
wrong:
  %result = sub i64 $WRONG, %i
  ret i64 %result
}

; ---------------------------------------------------------------- scratch memory
; Its size stands in the line before it. Null where there is none left.
define internal ptr @take_scratch(ptr %pool, i64 %bytes) {
entry:
  %place = alloca ptr
  %spares = getelementptr i64, ptr %pool, i64 $SPARE
  br label %each
each:
  %i = phi i64 [0, %entry], [%i1, %next]
  %spare.p = getelementptr ptr, ptr %spares, i64 %i
  %spare = atomicrmw xchg ptr %spare.p, ptr null acq_rel
  %nothing = icmp eq ptr %spare, null
  br i1 %nothing, label %next, label %measure
measure:
  %size = load i64, ptr %spare
  %fits = icmp sge i64 %size, %bytes
  br i1 %fits, label %found, label %discard
discard:
  call void @free(ptr %spare)
  br label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, $SPARES
  br i1 %more, label %each, label %allocate
allocate:
  %all = add i64 %bytes, 64
  %failed = call i32 @posix_memalign(ptr %place, i64 64, i64 %all)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %fresh, label %none
fresh:
  %new = load ptr, ptr %place
  store i64 %bytes, ptr %new
  br label %found
found:
  %block = phi ptr [%spare, %measure], [%new, %fresh]
  %scratch = getelementptr i8, ptr %block, i64 64
  ret ptr %scratch
none:
  ret ptr null
}

define internal void @give_scratch(ptr %pool, ptr %scratch) {
entry:
  %block = getelementptr i8, ptr %scratch, i64 -64
  %size = load i64, ptr %block
  %large = icmp sgt i64 %size, $MOST_SPARE
  %spares = getelementptr i64, ptr %pool, i64 $SPARE
  br i1 %large, label %discard, label %each
each:
  %i = phi i64 [0, %entry], [%i1, %next]
  %spare.p = getelementptr ptr, ptr %spares, i64 %i
  %swap = cmpxchg ptr %spare.p, ptr null, ptr %block acq_rel monotonic
  %kept = extractvalue { ptr, i1 } %swap, 1
  br i1 %kept, label %end, label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, $SPARES
  br i1 %more, label %each, label %discard
discard:
  call void @free(ptr %block)
  br label %end
end:
  ret void
}

; ---------------------------------------------------------------- the launch
; Runs all blocks. False where threads were lost by a fork.
define internal i1 @run(ptr %pool, ptr %plan, ptr %record, ptr %own, double %rate, i64 %threads) {
entry:
  %next.p = getelementptr i64, ptr %own, i64 $NEXT
  %kernel.p = getelementptr i64, ptr %plan, i64 $PLAN_KERNEL
  %kernel = load ptr, ptr %kernel.p
  %blocks.p = getelementptr i64, ptr %plan, i64 $PLAN_BLOCKS
  %blocks = load i64, ptr %blocks.p
  %start.p = getelementptr i64, ptr %record, i64 -2
  %start = load i64, ptr %start.p
  call void @fill(ptr %own, ptr %kernel, ptr %record, i64 %blocks, i64 1, double %rate)
  ; Alone, while that is as fast.
  %blocks.f = sitofp i64 %blocks to double
  %total = fmul double %rate, %blocks.f
  %known = fcmp ogt double %rate, 0.0
  br i1 %known, label %estimate, label %long
estimate:
  %limit = call i64 @alone_for(ptr %pool, double %total)
  %short = icmp sgt i64 %limit, 0
  br i1 %short, label %quick, label %long
quick:
  %until = add i64 %start, %limit
  %q = call i64 @work(ptr %own, i64 0, i64 %until)
  %stop = load atomic i64, ptr %record monotonic, align 8
  %stopped = icmp ne i64 %stop, $RUNNING
  %reached = load atomic i64, ptr %next.p monotonic, align 8
  %all = icmp sge i64 %reached, %blocks
  %over = or i1 %stopped, %all
  br i1 %over, label %good, label %long
long:
  call void @give_up_gil(ptr %record)
  %begun = load atomic i64, ptr %next.p monotonic, align 8
  %left = sub i64 %blocks, %begun
  %current = call double @measured(ptr %own, double %rate)
  %wanted = call i64 @wanted(i64 %left, i64 %threads, double %current)
  %shared = icmp sgt i64 %wanted, 0
  br i1 %shared, label %claim, label %alone
claim:
  %slot = call ptr @claim(ptr %pool)
  %crowded = icmp eq ptr %slot, null
  br i1 %crowded, label %alone, label %share
alone:
  %a = call i64 @work(ptr %own, i64 0, i64 9223372036854775807)
  br label %good
share:
  call void @fill(ptr %slot, ptr %kernel, ptr %record, i64 %blocks, i64 %threads, double %current)
  %slot.next.p = getelementptr i64, ptr %slot, i64 $NEXT
  store atomic i64 %begun, ptr %slot.next.p monotonic, align 8
  call void @open(ptr %pool, ptr %slot, i64 %wanted)
  %s = call i64 @work(ptr %slot, i64 0, i64 9223372036854775807)
  %whole = call i1 @close(ptr %pool, ptr %slot, ptr %record)
  call void @add(ptr %own, ptr %slot, i64 $SLOT_TIME)
  call void @add(ptr %own, ptr %slot, i64 $SLOT_RUN)
  br i1 %whole, label %release, label %lost
release:
  %claimed.p = getelementptr i64, ptr %slot, i64 $CLAIMED
  store atomic i64 0, ptr %claimed.p release, align 8
  br label %good
good:
  ret i1 true
lost:
  ret i1 false
}

; For how long a launch that is thought to take %time stays alone; 0 where it is shared at once.
define internal i64 @alone_for(ptr %pool, double %time) {
entry:
  %little = fcmp olt double %time, $SHORT.0
  br i1 %little, label %short, label %count
count:
  %sleepers.p = getelementptr i64, ptr %pool, i64 $SLEEPERS
  %sleepers = load atomic i64, ptr %sleepers.p monotonic, align 8
  %awake = icmp eq i64 %sleepers, 0
  br i1 %awake, label %share, label %weigh
weigh:
  %waking.p = getelementptr i64, ptr %pool, i64 $WAKING
  %waking = load atomic i64, ptr %waking.p monotonic, align 8
  %cost = mul i64 %waking, 3
  %cost.f = sitofp i64 %cost to double
  %cheap = fcmp olt double %cost.f, %time
  br i1 %cheap, label %share, label %spare
spare:
  ; What it costs is only seen by trying: it is thought to cost less every time.
  %part = sdiv i64 %waking, 64
  %less = sub i64 %waking, %part
  store atomic i64 %less, ptr %waking.p monotonic, align 8
  ret i64 %cost
short:
  ret i64 $SHORT
share:
  ret i64 0
}

; How many threads besides the caller's are worth waking.
define internal i64 @wanted(i64 %left, i64 %threads, double %rate) {
  %others = sub i64 %threads, 1
  %rest = sub i64 %left, 1
  %n1 = call i64 @llvm.smin.i64(i64 %others, i64 %rest)
  %left.f = sitofp i64 %left to double
  %time = fmul double %left.f, %rate
  %worth.f = fdiv double %time, $SHORT.0
  %worth = call i64 @llvm.fptosi.sat.i64.f64(double %worth.f)
  %n2 = call i64 @llvm.smin.i64(i64 %n1, i64 %worth)
  %known = fcmp ogt double %rate, 0.0
  %n = select i1 %known, i64 %n2, i64 %n1
  ret i64 %n
}

; Nanoseconds per block that the caller has seen, or else what is given.
define internal double @measured(ptr %own, double %given) {
  %time.p = getelementptr i64, ptr %own, i64 $SLOT_TIME
  %time = load i64, ptr %time.p
  %run.p = getelementptr i64, ptr %own, i64 $SLOT_RUN
  %run = load i64, ptr %run.p
  %any = icmp sgt i64 %run, 0
  %time.f = sitofp i64 %time to double
  %run.f = sitofp i64 %run to double
  %rate = fdiv double %time.f, %run.f
  %result = select i1 %any, double %rate, double %given
  ret double %result
}

define internal void @fill(ptr %slot, ptr %kernel, ptr %record, i64 %blocks, i64 %threads, double %rate) {
  %next.p = getelementptr i64, ptr %slot, i64 $NEXT
  store atomic i64 0, ptr %next.p monotonic, align 8
  %blocks.p = getelementptr i64, ptr %slot, i64 $SLOT_BLOCKS
  store i64 %blocks, ptr %blocks.p
  %kernel.p = getelementptr i64, ptr %slot, i64 $SLOT_KERNEL
  store ptr %kernel, ptr %kernel.p
  %record.p = getelementptr i64, ptr %slot, i64 $SLOT_RECORD
  store ptr %record, ptr %record.p
  %threads.p = getelementptr i64, ptr %slot, i64 $SLOT_THREADS
  store i64 %threads, ptr %threads.p
  %rate.p = getelementptr i64, ptr %slot, i64 $SLOT_RATE
  store double %rate, ptr %rate.p
  %time.p = getelementptr i64, ptr %slot, i64 $SLOT_TIME
  store i64 0, ptr %time.p
  %run.p = getelementptr i64, ptr %slot, i64 $SLOT_RUN
  store i64 0, ptr %run.p
  ret void
}

define internal void @add(ptr %to, ptr %from, i64 %word) {
  %to.p = getelementptr i64, ptr %to, i64 %word
  %from.p = getelementptr i64, ptr %from, i64 %word
  %a = load i64, ptr %to.p
  %b = load i64, ptr %from.p
  %sum = add i64 %a, %b
  store i64 %sum, ptr %to.p
  ret void
}

; PyObject *launch(PyObject *plan, PyObject *const *args, Py_ssize_t count): a METH_FASTCALL.
; %self is the array with the plan. Gives $LOST or 0; WRONG - number of an argument; the bytes of the
; record where a fault stands in it; the address of a record that a callback cancelled.
define ptr @launch(ptr %self, ptr %args, i64 %count) {
entry:
  %own = alloca [$SLOT_WORDS x i64], align 64
  %plan.p = getelementptr i8, ptr %self, i64 $HEAD
  %plan = load ptr, ptr %plan.p
  %expected.p = getelementptr i64, ptr %plan, i64 $PLAN_ARGUMENTS
  %expected = load i64, ptr %expected.p
  %words.p = getelementptr i64, ptr %plan, i64 $PLAN_WORDS
  %words = load i64, ptr %words.p
  %room = add i64 %words, $HIDDEN
  %matches = icmp eq i64 %count, %expected
  br i1 %matches, label %prepare, label %miscounted
miscounted:
  %fewer = call i64 @llvm.smin.i64(i64 %count, i64 %expected)
  %which = sub i64 $WRONG, %fewer
  br label %tell
prepare:
  %frame = alloca i64, i64 %room, align 128
  call void @llvm.memset.p0.i64(ptr %frame, i8 0, i64 128, i1 false)
  %record = getelementptr i64, ptr %frame, i64 $HIDDEN
  %image = getelementptr i64, ptr %plan, i64 $PLAN_RECORD
  %image.bytes = mul i64 $PARAMETERS, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %record, ptr %image, i64 %image.bytes, i1 false)
  %poll.p = getelementptr i64, ptr %record, i64 $POLL
  store ptr @poll, ptr %poll.p
  %unread = call i64 @read(ptr %plan, ptr %args, i64 %count, ptr %record)
  %read = icmp eq i64 %unread, 0
  br i1 %read, label %clock, label %refuse
refuse:
  %set = icmp eq i64 %unread, 1
  br i1 %set, label %raise, label %tell
clock:
  %now = call i64 @now()
  %looked.p = getelementptr i64, ptr %record, i64 -2
  store i64 %now, ptr %looked.p
  %pool = load atomic ptr, ptr @current acquire, align 8
  %main.p = getelementptr i64, ptr %pool, i64 $MAIN
  %main = load i64, ptr %main.p
  %self.thread = call i64 @pthread_self()
  %handles = icmp eq i64 %main, %self.thread
  %handles.wide = zext i1 %handles to i64
  %handles.p = getelementptr i64, ptr %record, i64 -3
  store i64 %handles.wide, ptr %handles.p
  %rate.p = getelementptr i64, ptr %plan, i64 $PLAN_RATE
  %rate.bits = load atomic i64, ptr %rate.p monotonic, align 8
  %rate = bitcast i64 %rate.bits to double
  %threads.p = getelementptr i64, ptr %pool, i64 $THREADS
  %threads = load atomic i64, ptr %threads.p monotonic, align 8
  %bytes.p = getelementptr i64, ptr %record, i64 $SCRATCH_BYTES
  %bytes = load i64, ptr %bytes.p
  %needs = icmp sgt i64 %bytes, 0
  br i1 %needs, label %allocate, label %go
allocate:
  %all = mul i64 %bytes, %threads
  %scratch = call ptr @take_scratch(ptr %pool, i64 %all)
  %scratch.p = getelementptr i64, ptr %record, i64 $SCRATCH
  store ptr %scratch, ptr %scratch.p
  %got = icmp ne ptr %scratch, null
  br i1 %got, label %go, label %no.memory
no.memory:
  %null = call ptr @PyErr_NoMemory()
  br label %raise
go:
  %whole = call i1 @run(ptr %pool, ptr %plan, ptr %record, ptr %own, double %rate, i64 %threads)
  %new.rate = call double @measured(ptr %own, double %rate)
  %new.bits = bitcast double %new.rate to i64
  store atomic i64 %new.bits, ptr %rate.p monotonic, align 8
  br i1 %needs, label %give, label %regain
give:
  %lent.p = getelementptr i64, ptr %record, i64 $SCRATCH
  %lent = load ptr, ptr %lent.p
  call void @give_scratch(ptr %pool, ptr %lent)
  br label %regain
regain:
  %state.p = getelementptr i64, ptr %record, i64 -1
  %state = load ptr, ptr %state.p
  %held = icmp eq ptr %state, null
  br i1 %held, label %ended, label %lock
lock:
  ; In a process that ends, threads but the main one end here.
  call void @PyEval_RestoreThread(ptr %state)
  br label %ended
ended:
  %type.p = getelementptr i64, ptr %record, i64 -6
  %type = load ptr, ptr %type.p
  %calm = icmp eq ptr %type, null
  br i1 %calm, label %look, label %restore
restore:
  %value.p = getelementptr i64, ptr %record, i64 -5
  %value = load ptr, ptr %value.p
  %trace.p = getelementptr i64, ptr %record, i64 -4
  %trace = load ptr, ptr %trace.p
  call void @PyErr_Restore(ptr %type, ptr %value, ptr %trace)
  br label %raise
look:
  %stop = load atomic i64, ptr %record monotonic, align 8
  switch i64 %stop, label %cancelled [
    i64 $RUNNING, label %finished
    i64 $FAULTED, label %faulted
  ]
finished:
  %code = select i1 %whole, i64 0, i64 $LOST
  br label %tell
cancelled:
  %address = ptrtoint ptr %record to i64
  br label %tell
faulted:
  %size = mul i64 %words, 8
  %bytes.object = call ptr @PyBytes_FromStringAndSize(ptr %record, i64 %size)
  ret ptr %bytes.object
tell:
  %result = phi i64 [%which, %miscounted], [%unread, %refuse], [%code, %finished], [%address, %cancelled]
  %result.object = call ptr @PyLong_FromLongLong(i64 %result)
  ret ptr %result.object
raise:
  ret ptr null
}
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
"""
