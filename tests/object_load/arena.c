/* An arena, whose pages the program allocates. */
#include "maps.h"

struct { NUMBER(type, ARENA); NUMBER(map_flags, MMAPABLE); NUMBER(max_entries, 4); } arena SEC(".maps");

extern void *bpf_arena_alloc_pages(void *map, void *address, unsigned int pages, int node, unsigned long flags)
	__attribute__((section(".ksyms")));

SEC("syscall")
int allocates(void *ctx)
{
	return bpf_arena_alloc_pages(&arena, 0, 2, -1, 0) != 0;
}
