/* Settings as tristate, bool, char, integer and string, and ones that there are not. */
#include "common.h"

#define KCONFIG __attribute__((section(".kconfig")))
#define WEAK __attribute__((weak))

enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };

extern enum libbpf_tristate CONFIG_BPF_SYSCALL KCONFIG;
extern _Bool CONFIG_NET KCONFIG;
extern char CONFIG_BPF KCONFIG;
extern unsigned int CONFIG_HZ KCONFIG;
extern unsigned short CONFIG_NR_CPUS KCONFIG WEAK;
extern char CONFIG_DEFAULT_HOSTNAME[16] KCONFIG WEAK;
extern enum libbpf_tristate CONFIG_NEVER_THERE KCONFIG WEAK;
extern int CONFIG_NEVER_THERE_EITHER KCONFIG WEAK;

SEC("raw_tp/sched_switch")
int kinds(void *ctx)
{
	out[0] = CONFIG_BPF_SYSCALL;
	out[1] = CONFIG_NET;
	out[2] = CONFIG_BPF;
	out[3] = CONFIG_HZ;
	out[4] = CONFIG_NR_CPUS;
	out[5] = CONFIG_DEFAULT_HOSTNAME[0];
	out[6] = CONFIG_NEVER_THERE;
	out[7] = CONFIG_NEVER_THERE_EITHER;
	return 0;
}
