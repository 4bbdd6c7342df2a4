/* Counts the system calls of one process: clang -target bpf -g -O2 -c examples/load_object.c */
#define SEC(name) __attribute__((section(name), used))

static unsigned long (*const get_current_pid_tgid)(void) = (void *)14;

const volatile int targ_pid;
unsigned long calls;

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	if (!targ_pid || get_current_pid_tgid() >> 32 == targ_pid)
		__sync_fetch_and_add(&calls, 1);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";
