# Prints a line for each call of execve(2), which executes a program:
#
#     rawbpf trace examples/hello.s

.license "GPL"                          # trace_printk is for programs under the GPL alone

.rodata
message: .asciz "Hello, World!"

# The name of the program, and the tracepoint that `trace` attaches it to.
.program hello, tracepoint/syscalls/sys_enter_execve
        r1 = message ll                 # trace_printk(format, size)
        r2 = 14                         # with the NUL at its end
        call trace_printk
        r0 = 0                          # the program's return value
        exit
