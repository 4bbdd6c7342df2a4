/* Iterators, which write what they see. */
#include "common.h"

struct seq_file;
struct bpf_iter_meta { struct seq_file *seq; } CORE;
struct task_struct { int tgid; } CORE;
struct bpf_iter__task { struct bpf_iter_meta *meta; struct task_struct *task; } CORE;
struct bpf_map { int id; } CORE;
struct bpf_iter__bpf_map { struct bpf_iter_meta *meta; struct bpf_map *map; } CORE;

static long (*const write)(struct seq_file *, const void *, unsigned int) = (void *)127;

SEC("iter/task")
int tasks(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	int number;

	if (!task)
		return 0;
	number = task->tgid;
	write(ctx->meta->seq, &number, sizeof(number));
	return 0;
}

SEC("iter/bpf_map")
int maps(struct bpf_iter__bpf_map *ctx)
{
	if (ctx->map)
		out[0]++;
	return 0;
}
