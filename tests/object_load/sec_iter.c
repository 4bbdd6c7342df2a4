/* Iterators, which write what they see. */
#include "maps.h"

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } CORE;
struct task_struct { int tgid; } CORE;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } CORE;
struct bpf_iter__bpf_map_elem { struct bpf_iter_meta *meta; void *map; void *key; void *value; } CORE;

static long (*const write)(struct seq_file *, const void *, unsigned int) = (void *)127;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	int number;

	if (!ctx->task)
		return 0;
	number = ctx->task->tgid;
	write(ctx->meta->seq, &number, sizeof(number));
	return 0;
}

SEC("iter/bpf_map_elem")
int elements(struct bpf_iter__bpf_map_elem *ctx)
{
	out[0] += ctx->value != 0;
	return 0;
}
