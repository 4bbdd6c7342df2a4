# Counts the system calls of each command name, and prints the counts at the end:
#
#     rawbpf trace examples/counts.s -- ls

.license "GPL"

# From a command name (16 bytes, as the kernel keeps it) to a number.
.map counts, hash, key=16, value=8, max=10240

.program count, tracepoint/raw_syscalls/sys_enter
        *(u64 *)(r10 - 16) = 0          # Linux 6.1 leaves what is behind the zero of a name as it was
        *(u64 *)(r10 - 8) = 0
        r1 = r10                        # get_current_comm(to, size)
        r1 += -16
        r2 = 16
        call get_current_comm

        r1 = counts ll                  # map_lookup_elem(map, key): the address of the value, or 0
        r2 = r10
        r2 += -16
        call map_lookup_elem
        if r0 != 0 goto add

        *(u64 *)(r10 - 24) = 0          # map_update_elem(map, key, value, flags)
        r1 = counts ll
        r2 = r10
        r2 += -16
        r3 = r10
        r3 += -24
        r4 = 1                          # BPF_NOEXIST: another CPU may have inserted it in the meantime
        call map_update_elem

        r1 = counts ll
        r2 = r10
        r2 += -16
        call map_lookup_elem
        if r0 == 0 goto out             # the map is full
add:
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
out:
        r0 = 0
        exit
