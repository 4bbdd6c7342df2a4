/* Functions of a module, if it is loaded. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

struct __sk_buff { unsigned int len; };
struct nf_conn { int mark; };
struct bpf_sock_tuple { unsigned int words[3]; };
struct bpf_ct_opts___own { int netns_id; int error; unsigned char l4proto, reserved[3]; };

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, unsigned int size,
					 struct bpf_ct_opts___own *options, unsigned int length) KSYM WEAK;
extern void bpf_ct_release(struct nf_conn *nf) KSYM WEAK;

SEC("tc")
int looks(struct __sk_buff *skb)
{
	struct bpf_sock_tuple tuple = {};
	struct bpf_ct_opts___own options = { .netns_id = -1, .l4proto = 6 };
	struct nf_conn *found;

	out[0] = bpf_skb_ct_lookup != 0;
	if (!bpf_skb_ct_lookup || !bpf_ct_release)
		return 0;
	found = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple), &options, sizeof(options));
	if (found)
		bpf_ct_release(found);
	out[1] = options.error;
	return 0;
}
