/* A setting that the kernel does not have, or has with a value of another type: KIND says which. */
#include "common.h"

#define KCONFIG __attribute__((section(".kconfig")))

#if KIND == 0
extern int CONFIG_NO_SUCH_THING KCONFIG;
#define SETTING CONFIG_NO_SUCH_THING
#elif KIND == 1
extern int LINUX_NO_SUCH_THING KCONFIG;
#define SETTING LINUX_NO_SUCH_THING
#elif KIND == 2
extern int CONFIG_BPF KCONFIG;
#define SETTING CONFIG_BPF
#elif KIND == 3
extern signed char CONFIG_NR_CPUS KCONFIG;
#define SETTING CONFIG_NR_CPUS
#elif KIND == 4
extern int CONFIG_DEFAULT_HOSTNAME KCONFIG;
#define SETTING CONFIG_DEFAULT_HOSTNAME
#elif KIND == 5
extern _Bool CONFIG_HZ KCONFIG;
#define SETTING CONFIG_HZ
#elif KIND == 6
extern _Bool LINUX_KERNEL_VERSION KCONFIG;
#define SETTING LINUX_KERNEL_VERSION
#else
extern struct { int number; } CONFIG_HZ KCONFIG;
#define SETTING CONFIG_HZ.number
#endif

SEC("raw_tp/sched_switch")
int setting(void *ctx)
{
	out[0] = SETTING;
	return 0;
}
