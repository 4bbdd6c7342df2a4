# Sends a record through a ring buffer for each process that exits (Linux 5.8), and counts those that found no room:
#
#     rawbpf trace examples/events.s -- ls

.license "GPL"

# A record: the process and the thread, and the command name.
.equ PID, 0
.equ TID, 4
.equ COMM, 8
.equ SIZE, 24

.map events, ringbuf, max=65536         # its size in bytes, a power of two

.bss
lost:   .zero 8                         # `trace` prints variables at the end

.program exits, tracepoint/sched/sched_process_exit
        r1 = events ll                  # ringbuf_reserve(map, size, flags): the address of a record, or 0
        r2 = SIZE
        r3 = 0
        call ringbuf_reserve
        if r0 == 0 goto full
        r6 = r0                         # r6 to r9 keep their values over calls

        call get_current_pid_tgid       # process << 32 | thread
        *(u32 *)(r6 + TID) = w0
        r0 >>= 32
        *(u32 *)(r6 + PID) = w0
        *(u64 *)(r6 + COMM) = 0         # Linux 6.1 leaves what is behind the zero of a name as it was
        *(u64 *)(r6 + COMM + 8) = 0
        r1 = r6                         # get_current_comm(to, size)
        r1 += COMM
        r2 = 16
        call get_current_comm

        r1 = r6                         # ringbuf_submit(record, flags)
        r2 = 0
        call ringbuf_submit
        r0 = 0
        exit
full:
        r1 = lost ll
        r2 = 1
        lock *(u64 *)(r1 + 0) += r2
        r0 = 0
        exit
