# Prints the name of each file that is opened (openat(2)):
#
#     rawbpf trace examples/openat.s

.license "GPL"

.equ SIZE, 128                          # a longer name is cut

.program openat, tracepoint/syscalls/sys_enter_openat
        # probe_read_user_str(to, size, from) copies a string of the process, up to and with its NUL.
        r3 = *(u64 *)(r1 + args.filename)       # where the running kernel has this argument of the tracepoint
        r1 = r10
        r1 += -SIZE                     # the last SIZE bytes of the stack, which ends at r10
        r2 = SIZE
        call probe_read_user_str
        if r0 s<= 0 goto out            # the memory cannot be read

        # trace_printk(format, size of the format, value)
        r1 = "open %s" ll               # a string in .rodata
        r2 = 8
        r3 = r10
        r3 += -SIZE
        call trace_printk
out:
        r0 = 0
        exit
