/* Filters of sockets, and control groups that count packets. */
#include "common.h"

struct __sk_buff { unsigned int len, pkt_type, mark, queue_mapping, protocol; };

SEC("socket")
int filters(struct __sk_buff *skb)
{
	return skb->len > 20 ? skb->len : 0;
}

SEC("cgroup_skb/ingress")
int enters(struct __sk_buff *skb)
{
	out[0] += skb->len;
	return 1;
}

SEC("cgroup/skb")
int both(struct __sk_buff *skb)
{
	return skb->protocol != 0;
}
