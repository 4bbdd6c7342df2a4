.license "GPL"
.equ SIZE, 8
.map seen, hash, key=4, value=8, max=16
.program first, kprobe/sys_clone
r1 = seen ll
again: r2 = SIZE * (1 << 2)
if r2 != 0 goto again
1: goto 1f
call helper
1: exit
helper: *(u8 *)(r10 - 16) = "Hello\n"
exit
.rodata
text: .ascii "data"
