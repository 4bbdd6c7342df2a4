/* Dynamic pointers: records of a ring buffer, memory, and both rings. */
#include "maps.h"

struct bpf_dynptr { unsigned long words[2]; } __attribute__((aligned(8)));
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 4096); } ring SEC(".maps");
struct { NUMBER(type, USER_RINGBUF); NUMBER(max_entries, 8192); } replies SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long[8]); NUMBER(max_entries, 1); } values SEC(".maps");

static long (*const from_mem)(void *, unsigned int, unsigned long, struct bpf_dynptr *) = (void *)197;
static long (*const reserve)(void *, unsigned int, unsigned long, struct bpf_dynptr *) = (void *)198;
static void (*const submit)(struct bpf_dynptr *, unsigned long) = (void *)199;
static void (*const discard)(struct bpf_dynptr *, unsigned long) = (void *)200;
static long (*const read_dynptr)(void *, unsigned int, struct bpf_dynptr *, unsigned int, unsigned long) = (void *)201;
static long (*const write_dynptr)(struct bpf_dynptr *, unsigned int, void *, unsigned int, unsigned long) = (void *)202;
static void *(*const slice)(struct bpf_dynptr *, unsigned int, unsigned int) = (void *)203;
static long (*const drain)(void *, void *, void *, unsigned long) = (void *)209;

static long reply(struct bpf_dynptr *dynptr, long *sum)
{
	long value = 0;

	read_dynptr(&value, sizeof(value), dynptr, 0, 0);
	*sum += value;
	return 0;
}

SEC("tc")
int points(void *ctx)
{
	struct bpf_dynptr record, memory;
	long number = 42, sum = 0, *part;
	int key = 0;
	long *value = lookup(&values, &key);

	if (!value)
		return -1;
	from_mem(value, 64, 0, &memory);
	write_dynptr(&memory, 8, &number, sizeof(number), 0);
	if (reserve(&ring, 64, 0, &record)) {
		discard(&record, 0);
		return -2;
	}
	part = slice(&record, 16, 8);
	if (part)
		*part = value[1];
	submit(&record, 0);
	drain(&replies, reply, &sum, 0);
	return value[1] + sum;
}
