# Counts how many bytes read(2) returns, by powers of two, and prints the histogram at the end:
#
#     rawbpf trace examples/histogram.s -- ls

.license "GPL"

# `trace` prints an array of 8-byte values as a histogram of powers of two if its name ends in `hist`.
.map bytes_hist, array, key=4, value=8, max=65

.program read, tracepoint/syscalls/sys_exit_read
        r1 = *(u64 *)(r1 + args.ret)    # the system call's result
        if r1 s< 0 goto out             # an error

        # The assembler adds the function log2: 1 for 0 and 1, 2 for 2 and 3, 3 for 4 to 7, and so on.
        call log2
        *(u32 *)(r10 - 4) = r0

        r1 = bytes_hist ll              # map_lookup_elem(map, key): the address of the value
        r2 = r10
        r2 += -4
        call map_lookup_elem
        if r0 == 0 goto out             # for the verifier: the index is below 65
        r1 = 1
        lock *(u64 *)(r0 + 0) += r1
out:
        r0 = 0
        exit
