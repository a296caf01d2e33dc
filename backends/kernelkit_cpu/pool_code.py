"""The threads of the pool and how they take blocks, in LLVM text.

In: `$NAME` stands for what native_code.py says. Out: TEXT: the clock, `work`, which runs blocks of a
slot, the threads, and `create_pool`.
Holds: threads join a slot by counting themselves into its state and look at the rest only if it was
open then, so that one who comes late touches nothing of a launch that has ended. Pools and slots are
never freed.
"""

from __future__ import annotations

from typing import Final

TEXT: Final = """
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_timedwait(ptr, ptr, ptr)
declare i32 @pthread_cond_signal(ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_attr_init(ptr)
declare i32 @pthread_attr_destroy(ptr)
declare i32 @pthread_attr_setstacksize(ptr, i64)
declare i32 @pthread_attr_setdetachstate(ptr, i32)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)
declare i32 @clock_gettime(i32, ptr)
declare i32 @posix_memalign(ptr, i64, i64)
declare ptr @malloc(i64)
declare void @free(ptr)
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.fptosi.sat.i64.f64(double)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
$DECLARE_PAUSE

; ---------------------------------------------------------------- time
define internal i64 @clock(i32 %which) {
  %time = alloca [2 x i64]
  %failed = call i32 @clock_gettime(i32 %which, ptr %time)
  %seconds = load i64, ptr %time
  %rest.p = getelementptr i64, ptr %time, i64 1
  %rest = load i64, ptr %rest.p
  %whole = mul i64 %seconds, 1000000000
  %now = add i64 %whole, %rest
  ret i64 %now
}

define internal i64 @now() {
  %now = call i64 @clock(i32 $CLOCK)
  ret i64 %now
}

; Waits until the word at %p under %mask is (%equal) or is no longer what is given, for $SPIN ns.
define internal i1 @spin(ptr %p, i64 %mask, i64 %value, i1 %equal) {
entry:
  %start = call i64 @now()
  br label %round
round:
  br label %look
look:
  %i = phi i64 [0, %round], [%i1, %again]
  %word = load atomic i64, ptr %p acquire, align 8
  %part = and i64 %word, %mask
  %same = icmp eq i64 %part, %value
  %met = icmp eq i1 %same, %equal
  br i1 %met, label %found, label %again
again:
  $PAUSE
  %i1 = add i64 %i, 1
  %enough = icmp eq i64 %i1, 32
  br i1 %enough, label %check, label %look
check:
  %now = call i64 @now()
  %spent = sub i64 %now, %start
  %tired = icmp sgt i64 %spent, $SPIN
  br i1 %tired, label %given.up, label %round
found:
  ret i1 true
given.up:
  ret i1 false
}

; ---------------------------------------------------------------- blocks of one launch
; How many blocks to take next: a share of what is left, so that all threads end together; within
; bounds of time; and no more than %most, which grows while the rate is becoming known.
define internal i64 @chunk(i64 %left, i64 %threads, double %rate, i64 %most) {
  %shares = mul i64 %threads, 4
  %share = sdiv i64 %left, %shares
  %least.f = fdiv double $LEAST_CHUNK.0, %rate
  %least = call i64 @llvm.fptosi.sat.i64.f64(double %least.f)
  %longest.f = fdiv double $MOST_CHUNK.0, %rate
  %longest = call i64 @llvm.fptosi.sat.i64.f64(double %longest.f)
  %n1 = call i64 @llvm.smax.i64(i64 %share, i64 %least)
  %n2 = call i64 @llvm.smin.i64(i64 %n1, i64 %longest)
  %n3 = call i64 @llvm.smin.i64(i64 %n2, i64 %most)
  %n4 = call i64 @llvm.smin.i64(i64 %n3, i64 %left)
  %n = call i64 @llvm.smax.i64(i64 %n4, i64 1)
  ret i64 %n
}

; Runs chunks until none is left, the launch is stopped or the clock shows %until. Gives how many.
define internal i64 @work(ptr %slot, i64 %worker, i64 %until) {
entry:
  %next.p = getelementptr i64, ptr %slot, i64 $NEXT
  %blocks.p = getelementptr i64, ptr %slot, i64 $SLOT_BLOCKS
  %blocks = load i64, ptr %blocks.p
  %kernel.p = getelementptr i64, ptr %slot, i64 $SLOT_KERNEL
  %kernel = load ptr, ptr %kernel.p
  %record.p = getelementptr i64, ptr %slot, i64 $SLOT_RECORD
  %record = load ptr, ptr %record.p
  %threads.p = getelementptr i64, ptr %slot, i64 $SLOT_THREADS
  %threads = load i64, ptr %threads.p
  %rate.p = getelementptr i64, ptr %slot, i64 $SLOT_RATE
  %rate0 = load double, ptr %rate.p
  %known = fcmp ogt double %rate0, 0.0
  %most0 = select i1 %known, i64 $COUNT, i64 1
  %caller = icmp eq i64 %worker, 0
  %start = call i64 @now()
  br label %take
take:
  %chunks = phi i64 [0, %entry], [%chunks1, %on]
  %begin = phi i64 [%start, %entry], [%end, %on]
  %rate = phi double [%rate0, %entry], [%rate1, %on]
  %most = phi i64 [%most0, %entry], [%most1, %on]
  %stop = load atomic i64, ptr %record monotonic, align 8
  %running = icmp eq i64 %stop, 0
  br i1 %running, label %estimate, label %leave
estimate:
  %taken = load atomic i64, ptr %next.p monotonic, align 8
  %left = sub i64 %blocks, %taken
  %any = icmp sgt i64 %left, 0
  br i1 %any, label %grab, label %leave
grab:
  %n = call i64 @chunk(i64 %left, i64 %threads, double %rate, i64 %most)
  %first = atomicrmw add ptr %next.p, i64 %n monotonic
  %ours = icmp slt i64 %first, %blocks
  br i1 %ours, label %run, label %leave
run:
  %reach = add i64 %first, %n
  %last = call i64 @llvm.smin.i64(i64 %reach, i64 %blocks)
  call void %kernel(ptr %record, i64 %first, i64 %last, i64 %worker)
  %end = call i64 @now()
  %chunks1 = add i64 %chunks, 1
  %ran = sub i64 %last, %first
  %spent = sub i64 %end, %begin
  %spent1 = call i64 @llvm.smax.i64(i64 %spent, i64 1)
  %spent.f = sitofp i64 %spent1 to double
  %ran.f = sitofp i64 %ran to double
  %rate1 = fdiv double %spent.f, %ran.f
  %small = call i64 @llvm.smin.i64(i64 %ran, i64 $COUNT)
  %most1 = mul i64 %small, 4
  br i1 %caller, label %account, label %on
account:
  %time.p = getelementptr i64, ptr %slot, i64 $SLOT_TIME
  %time = load i64, ptr %time.p
  %time1 = add i64 %time, %spent1
  store i64 %time1, ptr %time.p
  %run.p = getelementptr i64, ptr %slot, i64 $SLOT_RUN
  %run0 = load i64, ptr %run.p
  %run1 = add i64 %run0, %ran
  store i64 %run1, ptr %run.p
  call void @look_if_due(ptr %record, i64 %end)
  %late = icmp sgt i64 %end, %until
  br i1 %late, label %leave.now, label %on
on:
  br label %take
leave.now:
  ret i64 %chunks1
leave:
  ret i64 %chunks
}

; ---------------------------------------------------------------- threads of the pool
; Helps every launch there is; says whether there was something to do.
define internal i1 @help(ptr %pool, i64 %worker) {
entry:
  %slots = getelementptr i64, ptr %pool, i64 $SLOTS
  br label %each
each:
  %i = phi i64 [0, %entry], [%i1, %next]
  %did = phi i1 [false, %entry], [%did1, %next]
  %at = mul i64 %i, $SLOT_WORDS
  %slot = getelementptr i64, ptr %slots, i64 %at
  %state = load atomic i64, ptr %slot monotonic, align 8
  %open = and i64 %state, $OPEN
  %closed = icmp eq i64 %open, 0
  br i1 %closed, label %next, label %join
join:
  %before = atomicrmw add ptr %slot, i64 1 acq_rel
  %open2 = and i64 %before, $OPEN
  %missed = icmp eq i64 %open2, 0
  br i1 %missed, label %out, label %joined
joined:
  %threads.p = getelementptr i64, ptr %slot, i64 $SLOT_THREADS
  %threads = load i64, ptr %threads.p
  %wanted = icmp slt i64 %worker, %threads
  br i1 %wanted, label %do, label %out
do:
  %chunks = call i64 @work(ptr %slot, i64 %worker, i64 9223372036854775807)
  %some = icmp sgt i64 %chunks, 0
  br label %out
out:
  %ran = phi i1 [false, %join], [false, %joined], [%some, %do]
  %was = atomicrmw sub ptr %slot, i64 1 acq_rel
  %waited = icmp eq i64 %was, $CLOSED_AND_WAITING
  br i1 %waited, label %tell, label %gone
tell:
  %mutex = getelementptr i64, ptr %pool, i64 $MUTEX
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %done = getelementptr i64, ptr %pool, i64 $DONE
  %b = call i32 @pthread_cond_broadcast(ptr %done)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %gone
gone:
  %did.now = or i1 %did, %ran
  br label %next
next:
  %did1 = phi i1 [%did, %each], [%did.now, %gone]
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, $SLOT_COUNT
  br i1 %more, label %each, label %end
end:
  ret i1 %did1
}

; What a thread of the pool runs, for ever.
define internal ptr @worker(ptr %given) {
entry:
  %pool = load ptr, ptr %given
  %worker.p = getelementptr i64, ptr %given, i64 1
  %worker = load i64, ptr %worker.p
  call void @free(ptr %given)
  %mutex = getelementptr i64, ptr %pool, i64 $MUTEX
  %work = getelementptr i64, ptr %pool, i64 $WORK
  %sleepers = getelementptr i64, ptr %pool, i64 $SLEEPERS
  br label %look
look:
  %seen = load atomic i64, ptr %pool acquire, align 8
  %did = call i1 @help(ptr %pool, i64 %worker)
  br i1 %did, label %look, label %idle
idle:
  %news = call i1 @spin(ptr %pool, i64 -1, i64 %seen, i1 false)
  br i1 %news, label %look, label %sleep
sleep:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %s = atomicrmw add ptr %sleepers, i64 1 seq_cst
  br label %asleep
asleep:
  %now = load atomic i64, ptr %pool seq_cst, align 8
  %same = icmp eq i64 %now, %seen
  br i1 %same, label %wait, label %wake
wait:
  %w = call i32 @pthread_cond_wait(ptr %work, ptr %mutex)
  br label %asleep
wake:
  %t = atomicrmw sub ptr %sleepers, i64 1 seq_cst
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %look
}

; Creates threads until the pool has as many as wanted, or the system refuses. Under the lock.
define internal void @create_threads(ptr %pool, i64 %wanted) {
entry:
  %attributes = alloca [16 x i64]
  %mask = alloca [16 x i64]
  %old = alloca [16 x i64]
  %thread = alloca i64
  %created.p = getelementptr i64, ptr %pool, i64 $CREATED
  %a = call i32 @pthread_attr_init(ptr %attributes)
  %b = call i32 @pthread_attr_setstacksize(ptr %attributes, i64 $STACK_BYTES)
  %c = call i32 @pthread_attr_setdetachstate(ptr %attributes, i32 $DETACHED)
  ; New threads inherit the mask: signals go to the threads of Python.
  %d = call i32 @sigfillset(ptr %mask)
$KEEP_OWN_SIGNALS
  %e = call i32 @pthread_sigmask(i32 $SET_MASK, ptr %mask, ptr %old)
  br label %each
each:
  %n = load i64, ptr %created.p
  %more = icmp slt i64 %n, %wanted
  br i1 %more, label %create, label %end
create:
  %given = call ptr @malloc(i64 16)
  store ptr %pool, ptr %given
  %number.p = getelementptr i64, ptr %given, i64 1
  %n1 = add i64 %n, 1
  store i64 %n1, ptr %number.p
  %failed = call i32 @pthread_create(ptr %thread, ptr %attributes, ptr @worker, ptr %given)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %created, label %refused
created:
  store atomic i64 %n1, ptr %created.p monotonic, align 8
  br label %each
refused:
  call void @free(ptr %given)
  %creatable.p = getelementptr i64, ptr %pool, i64 $CREATABLE
  store atomic i64 %n, ptr %creatable.p monotonic, align 8
  br label %end
end:
  %f = call i32 @pthread_sigmask(i32 $SET_MASK, ptr %old, ptr null)
  %g = call i32 @pthread_attr_destroy(ptr %attributes)
  ret void
}

; ---------------------------------------------------------------- the pool itself
; A new pool, or null.
define ptr @create_pool(i64 %threads, i64 %main) {
entry:
  %place = alloca ptr
  %bytes = mul i64 $POOL_WORDS, 8
  %failed = call i32 @posix_memalign(ptr %place, i64 128, i64 %bytes)
  %good = icmp eq i32 %failed, 0
  br i1 %good, label %fill, label %none
fill:
  %pool = load ptr, ptr %place
  call void @llvm.memset.p0.i64(ptr %pool, i8 0, i64 %bytes, i1 false)
  %threads.p = getelementptr i64, ptr %pool, i64 $THREADS
  store i64 %threads, ptr %threads.p
  %main.p = getelementptr i64, ptr %pool, i64 $MAIN
  store i64 %main, ptr %main.p
  %creatable.p = getelementptr i64, ptr %pool, i64 $CREATABLE
  store i64 $COUNT, ptr %creatable.p
  %mutex = getelementptr i64, ptr %pool, i64 $MUTEX
  %m = call i32 @pthread_mutex_init(ptr %mutex, ptr null)
  %work = getelementptr i64, ptr %pool, i64 $WORK
  %w = call i32 @pthread_cond_init(ptr %work, ptr null)
  %done = getelementptr i64, ptr %pool, i64 $DONE
  %d = call i32 @pthread_cond_init(ptr %done, ptr null)
  ret ptr %pool
none:
  ret ptr null
}
"""
