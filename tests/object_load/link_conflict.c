/* Linked with link_conflict_other.c, which KIND sets at odds with it. */
#include "common.h"

#if KIND == 1
int counter = 1;
#elif KIND == 2
extern int sum(int a, int b);
#elif KIND == 3
extern struct {
	int (*type)[1];
	int (*max_entries)[8];
	int *key;
	long *value;
} counts __attribute__((section(".maps")));
#elif KIND == 4
extern int counter_of_calls;
#elif KIND == 5
extern long counter;
#elif KIND == 6
struct state { int a; };
extern struct state state;
#endif

SEC("socket")
int first(void *ctx)
{
#if KIND == 1
	return counter;
#elif KIND == 2
	return sum(1, 2);
#elif KIND == 3
	return ((long (*)(void *, void *))3)(&counts, ctx);
#elif KIND == 4
	return counter_of_calls;
#elif KIND == 5
	return counter;
#elif KIND == 6
	return state.a;
#endif
	return 0;
}
