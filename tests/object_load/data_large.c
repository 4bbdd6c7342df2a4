/* Data of several pages, and a string in each section of strings. */
#include "common.h"

char large[9000] = { 1, 2, 3 };
char zeros[70000];
const volatile char text[5000] = "text";

SEC("tc")
int reads(void *skb)
{
	zeros[69999] = large[2];
	return text[1] + large[8999];
}
