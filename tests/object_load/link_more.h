/* What both objects share. */
#include "common.h"

#define NOINLINE __attribute__((noinline))
#define KCONFIG __attribute__((section(".kconfig")))

static long (*const trace)(const char *format, unsigned int size, ...) = (void *)6;
extern int LINUX_KERNEL_VERSION KCONFIG;

static inline const char *text(const char *text)
{
	asm volatile("" : "+r"(text));
	return text;
}
