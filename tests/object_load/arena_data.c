/* Variables of an arena: of one page and more, static ones, and structs. */
#include "arena_data.h"

struct { NUMBER(type, ARENA); NUMBER(map_flags, MMAPABLE); NUMBER(max_entries, 8); } arena SEC(".maps");

struct node {
	struct node IN_ARENA *next;
	long value;
};

volatile int ARENA_DATA counter = 5;
static volatile int ARENA_DATA hidden = 7;
volatile long ARENA_DATA table[1000] = { 1, 2, 3 };
volatile int ARENA_DATA zero;
struct node ARENA_DATA first = { 0, 40 };

SEC("syscall")
int counts(void *ctx)
{
	*AT(counter) += 2;
	*AT(hidden) += 3;
	*AT(zero) += 1;
	AT(table)[0][999] = AT(table)[0][2] + 7;
	out[0] = *AT(counter);
	out[1] = *AT(hidden);
	out[2] = AT(table)[0][999];
	return *AT(counter) + 100 * *AT(hidden) + 10000 * *AT(zero);
}

SEC("syscall")
int follows(void *ctx)
{
	AT(first)->value += 2;
	return AT(first)->value + *AT(counter);
}
