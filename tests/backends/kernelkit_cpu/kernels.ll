; Kernels written by hand, for tests of launches. All are void (ptr record, i64 first, i64 last, i64
; worker); word 32 of a record is the first parameter: address, extent and stride of an array.

; array[b] += 1
define void @count(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %data.p = getelementptr i64, ptr %record, i64 32
  %data = load ptr, ptr %data.p
  br label %block
block:
  %b = phi i64 [%first, %entry], [%b1, %block]
  %at = getelementptr i64, ptr %data, i64 %b
  %old = atomicrmw add ptr %at, i64 1 monotonic
  %b1 = add i64 %b, 1
  %more = icmp slt i64 %b1, %last
  br i1 %more, label %block, label %end
end:
  ret void
}

; array[0] += blocks of this call; array[1] = the most blocks of any call; array[2 + worker] += 1
define void @tally(ptr %record, i64 %first, i64 %last, i64 %worker) {
  %data.p = getelementptr i64, ptr %record, i64 32
  %data = load ptr, ptr %data.p
  %blocks = sub i64 %last, %first
  %o = atomicrmw add ptr %data, i64 %blocks monotonic
  %most = getelementptr i64, ptr %data, i64 1
  %m = atomicrmw max ptr %most, i64 %blocks monotonic
  %workers = getelementptr i64, ptr %data, i64 2
  %mine = getelementptr i64, ptr %workers, i64 %worker
  %w = atomicrmw add ptr %mine, i64 1 monotonic
  ret void
}

; array[:] = the first words of the record
define void @describe(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %data.p = getelementptr i64, ptr %record, i64 32
  %data = load ptr, ptr %data.p
  %extent.p = getelementptr i64, ptr %record, i64 33
  %extent = load i64, ptr %extent.p
  br label %word
word:
  %i = phi i64 [0, %entry], [%i1, %word]
  %from = getelementptr i64, ptr %record, i64 %i
  %to = getelementptr i64, ptr %data, i64 %i
  %value = load i64, ptr %from
  store i64 %value, ptr %to
  %i1 = add i64 %i, 1
  %more = icmp slt i64 %i1, %extent
  br i1 %more, label %word, label %end
end:
  ret void
}

; Each block makes as many steps as the first parameter, a scalar, says; every 4096 it polls.
define void @spin(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %steps.p = getelementptr i64, ptr %record, i64 32
  %steps = load i64, ptr %steps.p
  %poll.p = getelementptr i64, ptr %record, i64 11
  %poll = load ptr, ptr %poll.p
  br label %block
block:
  %b = phi i64 [%first, %entry], [%b1, %next]
  br label %step
step:
  %i = phi i64 [0, %block], [%i1, %on]
  %v = load volatile i64, ptr %steps.p
  %i1 = add i64 %i, 1
  %low = and i64 %i1, 4095
  %due = icmp eq i64 %low, 0
  br i1 %due, label %look, label %on
look:
  call void %poll(ptr %record, i64 %worker)
  %stop = load atomic i64, ptr %record monotonic, align 8
  %halt = icmp ne i64 %stop, 0
  br i1 %halt, label %end, label %on
on:
  %more = icmp slt i64 %i1, %steps
  br i1 %more, label %step, label %next
next:
  %b1 = add i64 %b, 1
  %left = icmp slt i64 %b1, %last
  br i1 %left, label %block, label %end
end:
  ret void
}

; The block whose number is the first parameter, a scalar, records a fault.
define void @fault(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %wrong.p = getelementptr i64, ptr %record, i64 32
  %wrong = load i64, ptr %wrong.p
  %from = icmp sge i64 %wrong, %first
  %to = icmp slt i64 %wrong, %last
  %here = and i1 %from, %to
  br i1 %here, label %record.it, label %end
record.it:
  %site.p = getelementptr i64, ptr %record, i64 13
  store i64 7, ptr %site.p
  %block.p = getelementptr i64, ptr %record, i64 14
  store i64 %wrong, ptr %block.p
  store atomic i64 1, ptr %record release, align 8
  br label %end
end:
  ret void
}

; Each block prints: site 5, and its number.
define void @say(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %words = alloca i64
  %print.p = getelementptr i64, ptr %record, i64 10
  %print = load ptr, ptr %print.p
  br label %block
block:
  %b = phi i64 [%first, %entry], [%b1, %block]
  store i64 %b, ptr %words
  call void %print(ptr %record, i64 5, ptr %words)
  %b1 = add i64 %b, 1
  %more = icmp slt i64 %b1, %last
  br i1 %more, label %block, label %end
end:
  ret void
}

; Each block fills the worker's scratch memory with its number, and reads it again later; array[0]
; counts words that someone else has written, array[1] addresses that are not aligned.
define void @scratch(ptr %record, i64 %first, i64 %last, i64 %worker) {
entry:
  %data.p = getelementptr i64, ptr %record, i64 32
  %data = load ptr, ptr %data.p
  %scratch.p = getelementptr i64, ptr %record, i64 1
  %scratch = load ptr, ptr %scratch.p
  %bytes.p = getelementptr i64, ptr %record, i64 2
  %bytes = load i64, ptr %bytes.p
  %offset = mul i64 %worker, %bytes
  %mine = getelementptr i8, ptr %scratch, i64 %offset
  %words = sdiv i64 %bytes, 8
  %address = ptrtoint ptr %mine to i64
  %odd = and i64 %address, 63
  %skew = getelementptr i64, ptr %data, i64 1
  %a = atomicrmw add ptr %skew, i64 %odd monotonic
  br label %block
block:
  %b = phi i64 [%first, %entry], [%b1, %next]
  br label %write
write:
  %i = phi i64 [0, %block], [%i1, %write]
  %to = getelementptr i64, ptr %mine, i64 %i
  store volatile i64 %b, ptr %to
  %i1 = add i64 %i, 1
  %writes = icmp slt i64 %i1, %words
  br i1 %writes, label %write, label %read
read:
  %j = phi i64 [0, %write], [%j1, %read]
  %from = getelementptr i64, ptr %mine, i64 %j
  %found = load volatile i64, ptr %from
  %foreign = icmp ne i64 %found, %b
  %one = zext i1 %foreign to i64
  %c = atomicrmw add ptr %data, i64 %one monotonic
  %j1 = add i64 %j, 1
  %reads = icmp slt i64 %j1, %words
  br i1 %reads, label %read, label %next
next:
  %b1 = add i64 %b, 1
  %more = icmp slt i64 %b1, %last
  br i1 %more, label %block, label %end
end:
  ret void
}
