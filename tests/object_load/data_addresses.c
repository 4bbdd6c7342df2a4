/* Addresses in the middle of data, behind its end, and by a number that is not known. */
#include "common.h"

struct pair { int low; long high[4]; };
struct pair pairs[3] = { { 1, { 2 } }, { 3, { 4, 5 } }, { 6, { 7, 8, 9 } } };
const volatile unsigned char table[8] = { 1, 1, 2, 3, 5, 8, 13, 21 };
const volatile unsigned int which = 2;

SEC("tc")
int takes(void *skb)
{
	struct pair *pair = &pairs[which < 3 ? which : 0];
	long sum = 0;
	int i;

	for (i = 0; i < 8; i++)
		sum += table[i];
	pairs[1].high[3] = sum;
	pair->high[1] = 77;
	return pairs[2].high[1] + table[7];
}
