/* Maps of maps and a program array, with their elements in the object. */
#include "maps.h"

struct inner { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 3); } first SEC(".maps"), second SEC(".maps");
struct shared_lock { unsigned int val; };

struct {
	NUMBER(type, ARRAY_OF_MAPS);
	NUMBER(max_entries, 4);
	TYPE(key, int);
	ELEMENTS(values, struct inner);
} by_index SEC(".maps") = { .values = { [0] = &second, [2] = &first } };

struct {
	NUMBER(type, HASH_OF_MAPS);
	NUMBER(max_entries, 4);
	TYPE(key, int);
	ELEMENTS(values, struct { NUMBER(type, HASH); NUMBER(key_size, 4); NUMBER(value_size, 8); NUMBER(max_entries, 1); });
} by_key SEC(".maps");

int called(void *ctx);
int other(void *ctx);

struct {
	NUMBER(type, PROG_ARRAY);
	NUMBER(max_entries, 3);
	NUMBER(key_size, 4);
	ELEMENTS(values, int(void *));
} calls SEC(".maps") = { .values = { [1] = (void *)&called, [2] = (void *)&other } };

static void (*const tail_call)(void *, void *, unsigned int) = (void *)12;

SEC("tc")
int enters(void *ctx)
{
	int key = 2, zero = 0;
	void *inner = lookup(&by_index, &key);
	long *value;

	if (!inner)
		return 7;
	value = lookup(inner, &zero);
	if (value)
		(*value)++;
	if (lookup(&by_key, &key))
		return 8;
	tail_call(ctx, &calls, 1);
	return 9;
}

SEC("tc")
int called(void *ctx)
{
	tail_call(ctx, &calls, 2);
	return 10;
}

SEC("tc")
int other(void *ctx)
{
	return 42;
}
