/* Parts of bytes in structs that are packed, in unions, and behind arrays of structs. */
#include "common.h"

typedef unsigned char u8;
typedef unsigned int u32;
struct iphdr { u8 ihl : 4, version : 4; u8 tos; } __attribute__((packed)) CORE;
struct tcphdr { unsigned short source, dest; u32 seq; unsigned short fin : 1, doff : 4, ack : 1; } __attribute__((packed)) CORE;
struct sk_buff___x { union { struct { u8 pkt_type : 3; u8 ip_summed : 2; }; }; } __attribute__((packed)) CORE;
struct task_struct { unsigned in_execve : 1; unsigned in_iowait : 1; struct { long a; } absent[3]; } CORE;
struct cpumask___y { unsigned long bits[1]; } CORE;
struct rt_rq___z { struct { unsigned long queue_bits[2]; } nothing_like_it; } CORE;

#define of(name) ((struct name *)0)
#define all(at, access) \
	out[at] = field(access, FIELD_OFFSET); \
	out[at + 1] = field(access, FIELD_SIZE); \
	out[at + 2] = field(access, FIELD_LSHIFT); \
	out[at + 3] = field(access, FIELD_RSHIFT); \
	out[at + 4] = field(access, FIELD_SIGNED)

SEC("tc")
int parts(void *ctx)
{
	all(0, of(iphdr)->version);
	all(5, of(tcphdr)->ack);
	all(10, of(tcphdr)->doff);
	all(15, of(task_struct)->in_iowait);
	if (field(of(sk_buff___x)->ip_summed, FIELD_EXISTS)) {
		all(20, of(sk_buff___x)->ip_summed);
	}
	out[30] = field(of(task_struct)->absent[2].a, FIELD_EXISTS);
	out[31] = field(of(cpumask___y)->bits[0], FIELD_EXISTS);
	out[32] = field(of(rt_rq___z)->nothing_like_it.queue_bits[1], FIELD_EXISTS);
	return out[2] + out[18];
}
