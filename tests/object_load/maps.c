/* A map of each kind whose size, flags or types libbpf changes or leaves out. */
#include "maps.h"

typedef unsigned int id_t;
struct pair {
	id_t id;
	unsigned char bytes[4];
};
struct prefix {
	unsigned int length;
	unsigned char address[4];
};

struct { NUMBER(type, HASH); TYPE(key, struct pair); TYPE(value, long); NUMBER(max_entries, 7); } typed SEC(".maps");
struct { NUMBER(type, HASH); NUMBER(key_size, 3); NUMBER(value_size, 5); NUMBER(max_entries, 7); } sized SEC(".maps");
struct { NUMBER(type, LRU_HASH); TYPE(key, id_t); NUMBER(value_size, 4); NUMBER(max_entries, 7); } mixed SEC(".maps");
struct { NUMBER(type, PERCPU_ARRAY); TYPE(key, id_t); TYPE(value, struct pair); NUMBER(max_entries, 2); } each_cpu SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(key, id_t); TYPE(value, struct pair[2]); NUMBER(max_entries, 2); NUMBER(map_flags, MMAPABLE); } mapped SEC(".maps");
struct { NUMBER(type, HASH); TYPE(key, id_t); TYPE(value, id_t); NUMBER(max_entries, 2); NUMBER(map_flags, NUMA_NODE); NUMBER(numa_node, 0); } on_node SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 5000); } ring SEC(".maps");
struct { NUMBER(type, RINGBUF); NUMBER(max_entries, 1); } least_ring SEC(".maps");
struct { NUMBER(type, PERF_EVENT_ARRAY); TYPE(key, int); TYPE(value, int); } events SEC(".maps");
struct { NUMBER(type, STACK_TRACE); TYPE(key, id_t); NUMBER(value_size, 64); NUMBER(max_entries, 2); } stacks SEC(".maps");
struct { NUMBER(type, LPM_TRIE); TYPE(key, struct prefix); TYPE(value, long); NUMBER(max_entries, 2); NUMBER(map_flags, NO_PREALLOC); } routes SEC(".maps");
struct { NUMBER(type, QUEUE); TYPE(value, struct pair); NUMBER(max_entries, 2); } queue SEC(".maps");
struct { NUMBER(type, BLOOM_FILTER); TYPE(value, struct pair); NUMBER(max_entries, 16); NUMBER(map_extra, 3); } bloom SEC(".maps");
struct { NUMBER(type, DEVMAP); TYPE(key, id_t); TYPE(value, id_t); NUMBER(max_entries, 4); } devices SEC(".maps");
struct { NUMBER(type, TASK_STORAGE); TYPE(key, int); TYPE(value, struct pair); NUMBER(map_flags, NO_PREALLOC); } of_task SEC(".maps");
struct { NUMBER(type, SK_STORAGE); TYPE(key, int); TYPE(value, long); NUMBER(map_flags, NO_PREALLOC); } of_socket SEC(".maps");

SEC("raw_tp/sched_switch")
int uses(void *ctx)
{
	struct pair pair = { .id = 5 };
	id_t id = 1;
	long one = 1;

	update(&typed, &pair, &one, 0);
	update(&mapped, &id, (struct pair[2]){ { 1 }, { 2 } }, 0);
	out[0] = (long)lookup(&each_cpu, &id);
	return 0;
}
