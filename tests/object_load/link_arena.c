/* Linked with arena_data.c: a variable of its arena, and others behind them. */
#define out other_out
#include "arena_data.h"

extern volatile int ARENA_DATA counter;
static volatile int ARENA_DATA hidden = 1000;
volatile int ARENA_DATA behind = 30;

SEC("syscall")
int adds(void *ctx)
{
	*AT(counter) += 10;
	*AT(hidden) += *AT(behind);
	return *AT(counter) + *AT(hidden);
}
