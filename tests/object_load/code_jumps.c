/* Jumps of each kind, with a loop that has an end. */
#include "common.h"

const volatile int limit = 30;

SEC("tc")
int jumps(void *skb)
{
	int i, sum = 0;

	for (i = 0; i < limit && i < 64; i++) {
		switch (i & 7) {
		case 0: sum += 3; break;
		case 1: sum ^= i; break;
		case 2: sum -= (int)out[1]; break;
		case 5: continue;
		default: sum |= 1;
		}
	}
	return sum;
}
