/* Another license, and a section with a version that nobody reads. */
#define LICENSE_IS "Dual BSD/GPL"
#include "common.h"

unsigned int own_version SEC("version") = 0x50000;

SEC("tc")
int licensed(void *skb)
{
	return 3;
}
