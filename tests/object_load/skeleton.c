/* Variables that a loader sets, a program that is not loaded by default, data in a section of its own. */
#include "common.h"

static unsigned long (*const pid_tgid)(void) = (void *)14;
static long (*const update)(void *, const void *, const void *, unsigned long) = (void *)2;

struct config {
	unsigned long limit;
	unsigned short ports[4];
};

#ifndef TARG_PID
#define TARG_PID 0
#define LIMIT 10
#define STEP 2
#endif

const volatile int targ_pid = TARG_PID;
const volatile struct config config = { .limit = LIMIT, .ports = { 1, 2, 3, 4 } };
long hits;
long counted = 100;
long step[2] SEC(".data.step") = { 1, STEP };
const volatile char label[8] SEC(".rodata.label") = "label";

struct {
	int (*type)[1];
	int *key;
	long *value;
	int (*max_entries)[4];
} counts SEC(".maps");

SEC("raw_tp/sys_enter")
int count(void *ctx)
{
	int pid = pid_tgid() >> 32;

	if (targ_pid && pid != targ_pid)
		return 0;
	if (config.limit > 100) {
		long one = config.ports[2];

		update(&counts, &pid, &one, 0);
	}
	if (label[0] == 'l')
		hits += step[1];
	counted++;
	return 0;
}

/* bpftool pins all programs, and so it does not load objects that have such a one. */
#ifndef ALONE
SEC("?raw_tp/sys_exit")
int left_out(void *ctx)
{
	hits = -1;
	return 0;
}
#endif
