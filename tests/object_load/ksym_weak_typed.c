/* Externs: variables with types that the kernel does not have. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

struct never { int number; };
extern const struct never never_there KSYM WEAK;
extern const int never_there_either KSYM WEAK;

SEC("raw_tp/sched_switch")
int missing(void *ctx)
{
	out[0] = 1;
	if (&never_there)
		out[1] = never_there.number;
	if (&never_there_either)
		out[2] = never_there_either;
	return 0;
}
