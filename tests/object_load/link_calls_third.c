/* Linked with link_calls.c and link_calls_other.c: a function that nobody sees outside of the linked object. */
#define LICENSE third_license
#define out third_out
#include "common.h"

extern int strong(int n);

__attribute__((visibility("hidden"), noinline)) int hidden_there(int n)
{
	out[0] += 3;
	return strong(n) * 3;
}
