; What a compiler makes of C: string constants, static data and functions, a map of before there was BTF, a function elsewhere.
target triple = "bpfel"
@.str = private unnamed_addr constant [6 x i8] c"hello\00", align 1
@table = internal constant [4 x i32] [i32 1, i32 2, i32 3, i32 4], align 4
@count = dso_local global i64 0, align 8
@limit = dso_local global i32 7, align 4
@_license = dso_local global [4 x i8] c"GPL\00", section "license", align 1
@oldmap = dso_local global { i32, i32, i32, i32, i32 } { i32 1, i32 4, i32 8, i32 16, i32 0 }, section "maps", align 4

declare i64 @elsewhere(i64)

define dso_local i64 @look(i8* %context) section "tracepoint/syscalls/sys_enter_openat" {
  %limit = load i32, i32* @limit
  %wide = zext i32 %limit to i64
  %first = call i64 @helper(i64 %wide)
  %index = and i64 %first, 3
  %place = getelementptr [4 x i32], [4 x i32]* @table, i64 0, i64 %index
  %value = load i32, i32* %place
  %wider = zext i32 %value to i64
  store i64 %wider, i64* @count
  %print = inttoptr i64 6 to i64 (i8*, i32)*
  %text = getelementptr [6 x i8], [6 x i8]* @.str, i64 0, i64 0
  %printed = call i64 %print(i8* %text, i32 6)
  %lookup = inttoptr i64 1 to i64 (i8*, i8*)*
  %map = bitcast { i32, i32, i32, i32, i32 }* @oldmap to i8*
  %found = call i64 %lookup(i8* %map, i8* %context)
  %none = icmp eq i64 %found, 0
  br i1 %none, label %without, label %with
without:
  ret i64 %first
with:
  %more = call i64 @elsewhere(i64 1)
  ret i64 %more
}

define internal i64 @helper(i64 %x) noinline {
  %y = mul i64 %x, 3
  %z = call i64 @global(i64 %y)
  ret i64 %z
}

define dso_local i64 @global(i64 %x) noinline {
  %y = add i64 %x, 3
  ret i64 %y
}
