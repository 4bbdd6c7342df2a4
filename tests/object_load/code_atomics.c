/* Atomic operations of the third version of the instructions. */
#include "common.h"

long count = 5;
int small = 6;

SEC("tc")
int adds(void *skb)
{
	long before = __sync_fetch_and_add(&count, 2);

	out[0] = before;
	out[1] = __sync_val_compare_and_swap(&count, 7, 9);
	out[2] = __sync_lock_test_and_set(&small, 3);
	__sync_fetch_and_or(&count, 0x100);
	return count + small;
}
