/* Sockets: their operations, lookups, messages and streams. */
#include "common.h"

struct bpf_sock_ops { unsigned int op; };
struct bpf_sk_lookup { unsigned long cookie; unsigned int family, protocol, remote_ip4; };
struct sk_msg_md { unsigned long data, data_end; unsigned int family; };
struct __sk_buff { unsigned int len; };
struct sk_reuseport_md { unsigned long data, data_end; unsigned int len; };

SEC("sockops")
int operations(struct bpf_sock_ops *ops)
{
	return ops->op == 3;
}

SEC("sk_lookup")
int looks(struct bpf_sk_lookup *lookup)
{
	return lookup->protocol == 6;
}

SEC("sk_msg")
int messages(struct sk_msg_md *message)
{
	return message->family == 2;
}

SEC("sk_skb/stream_parser")
int parses(struct __sk_buff *skb)
{
	return skb->len;
}

SEC("sk_reuseport")
int selects(struct sk_reuseport_md *reuse)
{
	return reuse->len > 10;
}
