/* Tunnels, dissectors of flows, and filters of netfilter's hooks. */
#include "common.h"

struct __sk_buff { unsigned int len, pkt_type, mark; };
struct bpf_flow_keys { unsigned short nhoff; };
struct dissected { unsigned int words[36]; struct bpf_flow_keys *keys; };

SEC("lwt_in")
int enters(struct __sk_buff *skb)
{
	return skb->len == 0;
}

SEC("lwt_xmit")
int leaves(struct __sk_buff *skb)
{
	skb->mark = 3;
	return 0;
}

SEC("lwt_seg6local")
int local(struct __sk_buff *skb)
{
	return 0;
}

SEC("flow_dissector")
int dissects(struct dissected *skb)
{
	return skb->keys->nhoff == 77;
}
