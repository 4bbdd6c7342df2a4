/* Hooks of netfilter (Linux 6.4). */
#include "common.h"

struct nf_hook_state { unsigned char hook; } CORE;
struct bpf_nf_ctx { const struct nf_hook_state *state; void *skb; };

SEC("netfilter")
int accepts(struct bpf_nf_ctx *ctx)
{
	out[0] = ctx->state->hook;
	return 1;
}
