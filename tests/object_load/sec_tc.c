/* Traffic control: classifiers and actions, by their old names and by new ones. */
#include "common.h"

struct __sk_buff { unsigned int len, pkt_type, mark; unsigned int words[15]; unsigned int tc_classid, data, data_end; };

SEC("tc")
int classifies(struct __sk_buff *skb)
{
	unsigned char *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;

	if (data + 20 > end)
		return -1;
	skb->mark = data[13];
	data[0] ^= 0xff;
	return skb->len;
}

SEC("classifier")
int old(struct __sk_buff *skb)
{
	return skb->pkt_type;
}

SEC("action")
int acts(struct __sk_buff *skb)
{
	return skb->mark;
}
