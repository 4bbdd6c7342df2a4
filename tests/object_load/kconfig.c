/* Settings of the kernel, of every type, those that libbpf fills in by itself, and weak ones that the kernel does not have. */
#include "common.h"

#define KCONFIG __attribute__((section(".kconfig")))
#define WEAK __attribute__((weak))

typedef unsigned short short_t;
enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };

extern int LINUX_KERNEL_VERSION KCONFIG;
extern _Bool LINUX_HAS_BPF_COOKIE KCONFIG;
extern unsigned long LINUX_NO_SUCH_THING KCONFIG WEAK;
extern _Bool CONFIG_BPF KCONFIG;
extern const enum libbpf_tristate CONFIG_BPF_SYSCALL KCONFIG;
extern char CONFIG_NET KCONFIG;
extern int CONFIG_HZ KCONFIG;
extern unsigned int CONFIG_NR_CPUS KCONFIG;
extern short_t CONFIG_LOG_BUF_SHIFT KCONFIG;
extern signed char CONFIG_BASE_SMALL KCONFIG WEAK;
extern unsigned long CONFIG_PHYSICAL_START KCONFIG WEAK;
extern char CONFIG_DEFAULT_HOSTNAME[8] KCONFIG;
extern const char CONFIG_CC_VERSION_TEXT[64] KCONFIG;
extern _Bool CONFIG_NO_SUCH_BOOL KCONFIG WEAK;
extern enum libbpf_tristate CONFIG_NO_SUCH_STATE KCONFIG WEAK;
extern char CONFIG_NO_SUCH_TEXT[5] KCONFIG WEAK;
extern long CONFIG_NO_SUCH_NUMBER KCONFIG WEAK;

SEC("raw_tp/sched_switch")
int first(void *ctx)
{
	out[0] = LINUX_KERNEL_VERSION;
	out[1] = LINUX_HAS_BPF_COOKIE;
	out[2] = LINUX_NO_SUCH_THING;
	out[3] = CONFIG_BPF;
	out[4] = CONFIG_BPF_SYSCALL;
	out[5] = CONFIG_NET;
	out[6] = CONFIG_HZ;
	out[7] = CONFIG_NR_CPUS;
	out[8] = CONFIG_LOG_BUF_SHIFT;
	out[9] = CONFIG_BASE_SMALL;
	out[10] = CONFIG_PHYSICAL_START;
	if (CONFIG_NO_SUCH_BOOL)
		out[11] = CONFIG_NO_SUCH_NUMBER;
	return 0;
}

/* Both programs have one map of them. */
SEC("raw_tp/sched_switch")
int second(void *ctx)
{
	unsigned long i;

	for (i = 0; i < sizeof(CONFIG_DEFAULT_HOSTNAME); i++)
		out[i] = CONFIG_DEFAULT_HOSTNAME[i];
	out[10] = CONFIG_CC_VERSION_TEXT[0];
	out[11] = CONFIG_CC_VERSION_TEXT[3];
	out[12] = CONFIG_NO_SUCH_STATE;
	out[13] = CONFIG_NO_SUCH_TEXT[4];
	out[14] = LINUX_KERNEL_VERSION;
	return 0;
}
