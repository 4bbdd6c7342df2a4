# Assembly for llvm-mc: functions and data without a type or a size.
        .section xdp,"ax",@progbits
        .globl  pass
pass:
        r1 = count ll
        r0 = *(u32 *)(r1 + 0)
        r1 = many+4 ll
        call two
        if r0 > 5 goto out
        r0 = 1
out:
        exit
        .text
        .globl  two
two:
        r0 = 2
        exit
        .data
count:  .long 5
many:   .quad 6, 7
