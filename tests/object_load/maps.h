/* Definitions of maps, as libbpf reads them. */
#include "common.h"

#define NUMBER(name, value) int (*name)[value]
#define TYPE(name, value) typeof(value) *name
#define ELEMENTS(name, of) typeof(of) *name[]

enum {
	HASH = 1,
	ARRAY = 2,
	PROG_ARRAY = 3,
	PERF_EVENT_ARRAY = 4,
	PERCPU_HASH = 5,
	PERCPU_ARRAY = 6,
	STACK_TRACE = 7,
	LRU_HASH = 9,
	LPM_TRIE = 11,
	ARRAY_OF_MAPS = 12,
	HASH_OF_MAPS = 13,
	DEVMAP = 14,
	SOCKMAP = 15,
	CPUMAP = 16,
	XSKMAP = 17,
	SOCKHASH = 18,
	CGROUP_STORAGE = 19,
	PERCPU_CGROUP_STORAGE = 21,
	QUEUE = 22,
	STACK = 23,
	SK_STORAGE = 24,
	DEVMAP_HASH = 25,
	RINGBUF = 27,
	INODE_STORAGE = 28,
	TASK_STORAGE = 29,
	BLOOM_FILTER = 30,
	USER_RINGBUF = 31,
	CGRP_STORAGE = 32,
	ARENA = 33,
};
enum { NO_PREALLOC = 1, NUMA_NODE = 4, MMAPABLE = 1 << 10 };

static void *(*const lookup)(void *, const void *) = (void *)1;
static long (*const update)(void *, const void *, const void *, unsigned long) = (void *)2;
