/* Externs: addresses of symbols by their names alone, strong and weak. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

extern const void schedule KSYM;
extern const void wake_up_process KSYM WEAK;
extern const void never_there KSYM WEAK;

SEC("raw_tp/sched_switch")
int addresses(void *ctx)
{
	out[0] = (unsigned long)&schedule;
	out[1] = (unsigned long)&wake_up_process;
	out[2] = (unsigned long)&never_there;
	if (&never_there)
		out[3] = 1;
	return 0;
}
