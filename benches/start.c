/* What hello world costs at the least: the same system calls as examples/minimal.rs makes, in C, with
 * nothing around them. Prints "attached" and waits for the end of its standard input. */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* src/progs/hello.rs, assembled (little-endian). */
static const struct bpf_insn hello[] = {
	{ 0x62, 10, 0, -16, 0x6c6c6548 }, /* "Hell" */
	{ 0x62, 10, 0, -12, 0x57202c6f }, /* "o, W" */
	{ 0x62, 10, 0, -8, 0x646c726f },  /* "orld" */
	{ 0x6a, 10, 0, -4, 0x0021 },      /* "!\0" */
	{ 0xbf, 1, 10, 0, 0 },
	{ 0x07, 1, 0, 0, -16 },
	{ 0xb7, 2, 0, 0, 14 },
	{ 0x85, 0, 0, 0, 6 },
	{ 0xb7, 0, 0, 0, 0 },
	{ 0x95, 0, 0, 0, 0 },
};

static long check(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
	return result;
}

int main(void)
{
	static const char *const calls[] = { "clone", "clone3", "fork", "vfork" };
	union bpf_attr load = {
		.prog_type = BPF_PROG_TYPE_TRACEPOINT,
		.insn_cnt = sizeof(hello) / sizeof(hello[0]),
		.insns = (unsigned long)hello,
		.license = (unsigned long)"GPL",
	};
	strcpy(load.prog_name, "hello");
	long program = check(syscall(SYS_bpf, BPF_PROG_LOAD, &load, 144), "BPF_PROG_LOAD");

	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		char path[128], text[32] = "";
		snprintf(path, sizeof(path), "/sys/kernel/tracing/events/syscalls/sys_enter_%s/id", calls[i]);
		int file = check(open(path, O_RDONLY | O_CLOEXEC), path);
		check(read(file, text, sizeof(text) - 1), path);
		close(file);

		struct perf_event_attr attr = {
			.type = PERF_TYPE_TRACEPOINT,
			.size = PERF_ATTR_SIZE_VER5,
			.config = strtoul(text, NULL, 10),
		};
		long event = check(syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC), "perf_event_open");
		struct { unsigned program, target, type, flags; unsigned long cookie; } link = { program, event, 41, 0, 0 };
		check(syscall(SYS_bpf, BPF_LINK_CREATE, &link, sizeof(link)), "BPF_LINK_CREATE");
	}
	check(write(1, "attached\n", 9), "write");
	char end;
	check(read(0, &end, 1), "read");
	return 0;
}
