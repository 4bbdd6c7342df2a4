.program sample, socket_filter
r6 = r1
r0 = 0
*(u64 *)(r10 - 8) = r0
*(u32 *)(r10 - 16) = -5
*(u8 *)(r10 - 12) = 200
r1 = r10
r1 += -8
r2 = 7
w3 = 9
r4 = *(u64 *)(r10 - 8)
r4 <<= 3
r4 s>>= 1
w4 &= 0xff
w4 ^= -1
r4 = be32 r4
r4 = -r4
call ktime_get_boot_ns
if r0 s> 300 goto small
r0 = 0x1122334455667788 ll
goto out
small:
if w0 == 0xffffffff goto next
r0 += 4
next: r1 = r0
call twice
if r0 & 1 goto out
r0 %= 10
out: exit
twice: r0 = r1
r0 += r1
exit
