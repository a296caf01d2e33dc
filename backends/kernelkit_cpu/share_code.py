"""How a launch is shared, in LLVM text: what its caller does.

In: `$NAME` stands for what native_code.py says. Out: TEXT: `run`, which runs all blocks of a launch.
Holds: a launch that is not worth it wakes nobody; one that is takes a slot of the pool, if any is
free; the caller works too, and waits only for those threads that joined it.
"""

from __future__ import annotations

from typing import Final

TEXT: Final = """
; ---------------------------------------------------------------- all blocks of a launch
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

; ---------------------------------------------------------------- slots
; A slot that no other launch has, or null.
define internal ptr @claim(ptr %pool) {
entry:
  %slots = getelementptr i64, ptr %pool, i64 $SLOTS
  br label %each
each:
  %i = phi i64 [0, %entry], [%i1, %next]
  %at = mul i64 %i, $SLOT_WORDS
  %slot = getelementptr i64, ptr %slots, i64 %at
  %claimed.p = getelementptr i64, ptr %slot, i64 $CLAIMED
  %claimed = load atomic i64, ptr %claimed.p monotonic, align 8
  %free = icmp eq i64 %claimed, 0
  br i1 %free, label %try, label %next
try:
  %swap = cmpxchg ptr %claimed.p, i64 0, i64 1 acq_rel monotonic
  %got = extractvalue { i64, i1 } %swap, 1
  br i1 %got, label %ours, label %next
next:
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, $SLOT_COUNT
  br i1 %more, label %each, label %none
ours:
  ret ptr %slot
none:
  ret ptr null
}

; Opens a slot that is filled, and sees to it that so many threads know.
define internal void @open(ptr %pool, ptr %slot, i64 %wanted) {
entry:
  %waking.p = getelementptr i64, ptr %pool, i64 $WAKING
  %mutex = getelementptr i64, ptr %pool, i64 $MUTEX
  %work = getelementptr i64, ptr %pool, i64 $WORK
  %sleepers.p = getelementptr i64, ptr %pool, i64 $SLEEPERS
  %created.p = getelementptr i64, ptr %pool, i64 $CREATED
  %s = atomicrmw add ptr %slot, i64 $OPEN release
  %g = atomicrmw add ptr %pool, i64 1 seq_cst
  %creatable.p = getelementptr i64, ptr %pool, i64 $CREATABLE
  %creatable = load atomic i64, ptr %creatable.p monotonic, align 8
  %workers = call i64 @llvm.smin.i64(i64 %wanted, i64 %creatable)
  %created = load atomic i64, ptr %created.p monotonic, align 8
  %lacking = icmp slt i64 %created, %workers
  br i1 %lacking, label %create, label %rouse
create:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  call void @create_threads(ptr %pool, i64 %workers)
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  br label %rouse
rouse:
  %sleepers = load atomic i64, ptr %sleepers.p seq_cst, align 8
  %nobody = icmp eq i64 %sleepers, 0
  br i1 %nobody, label %end, label %wake
wake:
  %start = call i64 @now()
  %l2 = call i32 @pthread_mutex_lock(ptr %mutex)
  %all = icmp sle i64 %sleepers, %wanted
  br i1 %all, label %broadcast, label %some
broadcast:
  %b = call i32 @pthread_cond_broadcast(ptr %work)
  br label %awake
some:
  %i = phi i64 [0, %wake], [%i1, %some]
  %one = call i32 @pthread_cond_signal(ptr %work)
  %i1 = add i64 %i, 1
  %enough = icmp sge i64 %i1, %wanted
  br i1 %enough, label %awake, label %some
awake:
  %u2 = call i32 @pthread_mutex_unlock(ptr %mutex)
  %now = call i64 @now()
  %spent = sub i64 %now, %start
  %took = call i64 @llvm.smin.i64(i64 %spent, i64 $MOST_WAKING)
  %usual = load atomic i64, ptr %waking.p monotonic, align 8
  %more = sub i64 %took, %usual
  %part = sdiv i64 %more, 8
  %usually = add i64 %usual, %part
  store atomic i64 %usually, ptr %waking.p monotonic, align 8
  br label %end
end:
  ret void
}

; Closes a slot and waits for those who joined. False where they can never end.
define internal i1 @close(ptr %pool, ptr %slot, ptr %record) {
entry:
  %until = alloca [2 x i64]
  %mutex = getelementptr i64, ptr %pool, i64 $MUTEX
  %done = getelementptr i64, ptr %pool, i64 $DONE
  %forked.p = getelementptr i64, ptr %pool, i64 $FORKED
  %state = atomicrmw and ptr %slot, i64 $NOT_OPEN acq_rel
  %count = and i64 %state, $COUNT
  %none = icmp eq i64 %count, 0
  br i1 %none, label %ended, label %here
here:
  %forked = load atomic i64, ptr %forked.p monotonic, align 8
  %alone = icmp ne i64 %forked, 0
  br i1 %alone, label %lost, label %spin
spin:
  %met = call i1 @spin(ptr %slot, i64 $COUNT, i64 0, i1 true)
  br i1 %met, label %ended, label %sleep
sleep:
  %l = call i32 @pthread_mutex_lock(ptr %mutex)
  %w = atomicrmw or ptr %slot, i64 $WAITING acq_rel
  %wall = call i64 @clock(i32 0)
  %alarm = add i64 %wall, $NAP
  %seconds = sdiv i64 %alarm, 1000000000
  %rest = srem i64 %alarm, 1000000000
  store i64 %seconds, ptr %until
  %rest.p = getelementptr i64, ptr %until, i64 1
  store i64 %rest, ptr %rest.p
  br label %asleep
asleep:
  %state2 = load atomic i64, ptr %slot acquire, align 8
  %count2 = and i64 %state2, $COUNT
  %none2 = icmp eq i64 %count2, 0
  br i1 %none2, label %wake, label %wait
wait:
  %failed = call i32 @pthread_cond_timedwait(ptr %done, ptr %mutex, ptr %until)
  %told = icmp eq i32 %failed, 0
  br i1 %told, label %asleep, label %wake
wake:
  %n = atomicrmw and ptr %slot, i64 $NOT_WAITING acq_rel
  %u = call i32 @pthread_mutex_unlock(ptr %mutex)
  %count3 = and i64 %n, $COUNT
  %none3 = icmp eq i64 %count3, 0
  br i1 %none3, label %ended, label %look
look:
  %now = call i64 @now()
  call void @look_if_due(ptr %record, i64 %now)
  br label %here
ended:
  ret i1 true
lost:
  ret i1 false
}
"""
