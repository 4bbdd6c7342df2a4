/* Storage with sockets. */
#include "maps.h"

struct { NUMBER(type, SK_STORAGE); NUMBER(map_flags, NO_PREALLOC); TYPE(key, int); TYPE(value, long); } storage SEC(".maps");
struct bpf_sock { int bound; };
struct __sk_buff { unsigned int words[42]; struct bpf_sock *sk; };

static struct bpf_sock *(*const full)(struct bpf_sock *) = (void *)95;
static long *(*const get)(void *, void *, void *, unsigned long) = (void *)107;

SEC("cgroup_skb/egress")
int keeps(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	long *value;

	if (!sk)
		return 1;
	sk = full(sk);
	if (!sk)
		return 1;
	value = get(&storage, sk, 0, 1);
	if (value)
		*value += 1;
	return 1;
}
