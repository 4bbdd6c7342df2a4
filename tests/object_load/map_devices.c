/* Maps: devices, CPUs and sockets to send packets to. */
#include "maps.h"

struct devmap_value { int ifindex, program; };

struct { NUMBER(type, DEVMAP); NUMBER(key_size, 4); NUMBER(value_size, 8); NUMBER(max_entries, 4); } devices SEC(".maps");
struct { NUMBER(type, DEVMAP_HASH); TYPE(key, int); TYPE(value, struct devmap_value); NUMBER(max_entries, 4); } by_number SEC(".maps");
struct { NUMBER(type, CPUMAP); TYPE(key, int); TYPE(value, int); NUMBER(max_entries, 2); } cpus SEC(".maps");
struct { NUMBER(type, XSKMAP); NUMBER(key_size, 4); NUMBER(value_size, 4); NUMBER(max_entries, 2); } sockets SEC(".maps");

static long (*const redirect)(void *, unsigned long, unsigned long) = (void *)51;

SEC("xdp")
int sends(void *xdp)
{
	switch (out[0]) {
	case 1: return redirect(&devices, 0, 2);
	case 2: return redirect(&by_number, 0, 2);
	case 3: return redirect(&cpus, 0, 2);
	}
	return redirect(&sockets, 0, 2);
}
