/* Global functions that take the context of their program, as the tag says: kernels before 6.8 know it by the name of a struct alone. */
#include "common.h"

#define CONTEXT __attribute__((btf_decl_tag("arg:ctx")))
#define NOINLINE __attribute__((noinline))

static long (*const get_stack)(void *ctx, void *to, unsigned int size, unsigned long flags) = (void *)67;
static long (*const load_bytes)(const void *skb, unsigned int offset, void *to, unsigned int len) = (void *)26;

struct pt_regs { unsigned long first; };

NOINLINE int stack(int twice, void *ctx CONTEXT)
{
	unsigned long frames[2];

	return get_stack(ctx, frames, sizeof(frames), 0) * twice;
}

NOINLINE int words(unsigned long *ctx CONTEXT)
{
	unsigned long frames[2];

	return get_stack(ctx, frames, sizeof(frames), 0);
}

NOINLINE int registers(struct pt_regs *ctx CONTEXT, void *other CONTEXT)
{
	return stack(2, ctx) + stack(3, other);
}

NOINLINE int byte(void *ctx CONTEXT, int at)
{
	unsigned char byte = 0;

	load_bytes(ctx, at, &byte, 1);
	return byte;
}

SEC("kprobe/do_nanosleep")
int probe(struct pt_regs *ctx)
{
	return registers(ctx, ctx);
}

SEC("raw_tp/sched_switch")
int raw(unsigned long *ctx)
{
	return words(ctx) + stack(1, ctx);
}

SEC("tc")
int classifier(void *ctx)
{
	return byte(ctx, 12) + byte(ctx, 13);
}
