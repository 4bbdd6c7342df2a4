/* Linked with link_maps.c. */
#define LICENSE other_license
#define out other_out
#include "common.h"

static void *(*const lookup)(void *, const void *) = (void *)1;

struct task_struct;
struct value {
	long n;
	struct task_struct *never;
};

struct inner {
	int (*type)[2];
	int (*max_entries)[3];
	int *key;
	long *value;
} inner SEC(".maps");

struct {
	int (*type)[12];
	int (*max_entries)[2];
	int *key;
	struct inner *values[];
} nested SEC(".maps") = { .values = { [1] = &inner } };

struct {
	int (*type)[1];
	int *key;
	struct value *value;
	int (*max_entries)[8];
} shared SEC(".maps");

struct {
	int (*type)[2];
	int (*max_entries)[5];
	int *key;
	long *value;
} replaced SEC(".maps");

SEC("socket")
int adds(void *ctx)
{
	int key = 1;
	struct value *value = lookup(&shared, &key);
	long *there = lookup(&replaced, &key);
	void *found = lookup(&nested, &key);

	if (found)
		there = lookup(found, &key);
	return (value ? value->n : 100) + (there ? *there : 1000);
}
