/* XDP: the packet, read and changed, in whole and with fragments. */
#include "common.h"

struct xdp_md { unsigned int data, data_end; };

SEC("xdp")
int whole(struct xdp_md *xdp)
{
	unsigned char *data = (void *)(long)xdp->data, *end = (void *)(long)xdp->data_end;

	if (data + 14 > end)
		return 1;
	data[3] += 1;
	return data[12] ? 2 : 3;
}

SEC("xdp.frags")
int parts(struct xdp_md *xdp)
{
	out[0] = xdp->data_end - xdp->data;
	return 2;
}
