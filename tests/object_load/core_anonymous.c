/* CO-RE: members of anonymous structs and unions, in the object, in the kernel, and in flavours. */
#include "common.h"

/* In the kernel next is in a union with two structs, and saddr in two structs one in the other. */
struct sk_buff { unsigned int len; union { struct { void *next; }; int other; }; } CORE;
struct sk_buff___flat { void *next; unsigned short protocol; } CORE;
struct sock_common { union { struct { unsigned int skc_daddr, skc_rcv_saddr; }; unsigned long skc_addrpair; }; } CORE;
struct sock_common___own { struct { struct { unsigned int skc_rcv_saddr; }; }; union { unsigned short skc_family; }; } CORE;
struct sock_common___gone { union { int never_there; unsigned short skc_family; }; } CORE;

SEC("raw_tp/sched_switch")
int members(void *ctx)
{
	struct sk_buff *skb = 0;
	struct sk_buff___flat *flat = 0;
	struct sock_common *sock = 0;
	struct sock_common___own *own = 0;
	struct sock_common___gone *gone = 0;

	out[0] = field(skb->next, FIELD_OFFSET);
	out[1] = field(flat->next, FIELD_OFFSET);
	out[2] = field(flat->protocol, FIELD_OFFSET);
	out[3] = field(sock->skc_rcv_saddr, FIELD_OFFSET);
	out[4] = field(sock->skc_addrpair, FIELD_SIZE);
	out[5] = field(own->skc_rcv_saddr, FIELD_OFFSET);
	out[6] = field(own->skc_family, FIELD_SIZE);
	out[7] = field(gone->never_there, FIELD_EXISTS);
	out[8] = field(gone->skc_family, FIELD_EXISTS);
	return 0;
}
