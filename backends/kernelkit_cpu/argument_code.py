"""Reading arguments into the record, in LLVM text.

In: `$NAME` stands for what native_code.py says, which knows where CPython and NumPy keep things. Out:
TEXT: `read`.
Holds: an argument that is not what the plan expects is reported, and nothing is read from it.
"""

from __future__ import annotations

from typing import Final

TEXT: Final = """
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
"""
