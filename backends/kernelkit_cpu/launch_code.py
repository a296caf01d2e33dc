"""The native launch, in LLVM text: a built-in function of Python that runs one plan.

In: `$NAME` stands for what native_code.py says. Out: TEXT: `launch`, which reads the arguments, has the
blocks run and tells how it ended; `poll`, which kernels call; and `select_pool`.
Holds: the record lies on the caller's stack, with what only the caller's thread uses before it. The GIL
is held while arguments are read and callbacks run; a launch that was short last time keeps it, for
those who give it up may wait for milliseconds to have it back.
"""

from __future__ import annotations

from typing import Final

TEXT: Final = """
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
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

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
"""
