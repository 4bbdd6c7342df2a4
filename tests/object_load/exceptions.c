/* Exceptions, and the function that handles them. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define NOINLINE __attribute__((noinline))

extern void bpf_throw(unsigned long cookie) KSYM;

static NOINLINE int throws(int n)
{
	out[0]++;
	if (n > 0)
		bpf_throw(n);
	return n;
}

#ifndef CALLBACK
#define CALLBACK "handles"
#endif

/* Nobody calls it but the kernel. */
NOINLINE int handles(unsigned long cookie)
{
	out[1]++;
	return cookie * 2;
}

SEC("tc") __attribute__((btf_decl_tag("exception_callback:" CALLBACK)))
int handled(void *ctx)
{
	return throws(21) + 1;
}

SEC("tc")
int unhandled(void *ctx)
{
	return throws(21) + 1;
}
