/* Data sections: visible outside, hidden, and with strings. */
#include "common.h"

#define HIDDEN __attribute__((visibility("hidden")))

static volatile int own SEC(".data.own") = 3;
HIDDEN int hidden SEC(".data.hidden") = 4;
int visible SEC(".data.visible") = 5;
/* libbpf 1.1 knows one section of zeros. */
#ifdef ALONE
int zero;
#else
int zero SEC(".bss.zero");
#endif
const volatile long constant SEC(".rodata.constant") = -1;
int plain = 6;
static volatile int plain_own = 7;

static long (*const trace_printk)(const char *, int, ...) = (void *)6;

SEC("raw_tp/sched_switch")
int sums(void *ctx)
{
	static const char text[] = "rawbpf";

	own++;
	hidden++;
	plain_own++;
	zero += visible + constant + plain;
	trace_printk(text, sizeof(text));
	return zero;
}
