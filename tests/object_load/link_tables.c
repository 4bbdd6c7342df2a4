/* Linked with link_tables_other.c: a struct of functions, two of them of the other object. */
#include "link_tables.h"

#if __clang_major__ >= 19
extern unsigned int half(unsigned long *ctx);
extern unsigned int undo(unsigned long *ctx);
#else
/* Older compilers describe only functions that are called. */
#define half own_half
#define undo own_undo
SEC("struct_ops")
unsigned int half(unsigned long *ctx)
{
	return 2;
}

SEC("struct_ops")
unsigned int undo(unsigned long *ctx)
{
	return 3;
}
#endif

SEC("struct_ops")
void avoid(unsigned long *ctx)
{
	out[0]++;
}

SEC(TABLES)
struct tcp_congestion_ops rawbpf_first = {
	.name = "rawbpf_first",
	.ssthresh = (void *)half,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};
