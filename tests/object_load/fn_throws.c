/* Exceptions that nobody handles, from functions at several depths, and iterators over numbers. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define NOINLINE __attribute__((noinline))

struct bpf_iter_num { unsigned long opaque; } __attribute__((aligned(8)));

extern void bpf_throw(unsigned long cookie) KSYM;
extern int bpf_iter_num_new(struct bpf_iter_num *it, int start, int end) KSYM;
extern int *bpf_iter_num_next(struct bpf_iter_num *it) KSYM;
extern void bpf_iter_num_destroy(struct bpf_iter_num *it) KSYM;

static NOINLINE int deepest(int n)
{
	if (n == 7)
		bpf_throw(70);
	return n + 1;
}

NOINLINE int between(int n)
{
	return deepest(n) + deepest(n + 1);
}

SEC("tc")
int throws(void *ctx)
{
	return between(6);
}

SEC("tc")
int counts(void *ctx)
{
	struct bpf_iter_num it;
	int *next, sum = 0;

	bpf_iter_num_new(&it, 3, 9);
	while ((next = bpf_iter_num_next(&it)))
		sum += *next;
	bpf_iter_num_destroy(&it);
	return sum;
}
