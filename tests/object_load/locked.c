/* Values that the kernel knows by their types: a lock, a timer, a pointer to a task. */
#include "maps.h"

struct bpf_spin_lock { unsigned int val; };
struct bpf_timer { unsigned long __opaque[2]; } __attribute__((aligned(8)));
struct task_struct { int pid; } CORE;

struct locked {
	long count;
	struct bpf_spin_lock lock;
	struct task_struct __attribute__((btf_type_tag("kptr"))) *task;
};
struct timed {
	struct bpf_timer timer;
	long runs;
};

struct { NUMBER(type, HASH); TYPE(key, int); TYPE(value, struct locked); NUMBER(max_entries, 4); } locks SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, struct timed); NUMBER(max_entries, 1); } timers SEC(".maps");

static long (*const spin_lock)(struct bpf_spin_lock *) = (void *)93;
static long (*const spin_unlock)(struct bpf_spin_lock *) = (void *)94;
static long (*const timer_init)(struct bpf_timer *, void *, unsigned long) = (void *)169;
static long (*const timer_set_callback)(struct bpf_timer *, void *) = (void *)170;
static long (*const timer_start)(struct bpf_timer *, unsigned long, unsigned long) = (void *)171;

/* Visible outside, and with a lock of its own. */
struct bpf_spin_lock own_lock SEC(".data.lock");
long guarded SEC(".data.lock");

static int ring(void *map, int *key, struct timed *value)
{
	__sync_fetch_and_add(&value->runs, 1);
	return 0;
}

SEC("tc")
int counts(void *ctx)
{
	int key = 0;
	struct locked *value = lookup(&locks, &key);

	if (!value)
		return 0;
	spin_lock(&value->lock);
	value->count++;
	spin_unlock(&value->lock);
	spin_lock(&own_lock);
	guarded++;
	spin_unlock(&own_lock);
	/* clang 19 has but a declaration of a struct that nothing else is asked about. */
	out[0] = type(struct task_struct, TYPE_EXISTS);
	return value->task != 0;
}

SEC("tc")
int starts(void *ctx)
{
	int key = 0;
	struct timed *value = lookup(&timers, &key);

	if (!value)
		return 0;
	timer_init(&value->timer, &timers, 1);
	timer_set_callback(&value->timer, ring);
	timer_start(&value->timer, 0, 0);
	return 0;
}
