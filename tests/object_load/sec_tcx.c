/* Traffic control by links, of devices and of pairs of them (Linux 6.6 and 6.7). */
#include "common.h"

struct __sk_buff { unsigned int len; };

SEC("tcx/ingress")
int enters(struct __sk_buff *skb)
{
	return skb->len ? -1 : 0;
}

SEC("tcx/egress")
int leaves(struct __sk_buff *skb)
{
	return -1;
}

SEC("netkit/peer")
int pair(struct __sk_buff *skb)
{
	return skb->len;
}
