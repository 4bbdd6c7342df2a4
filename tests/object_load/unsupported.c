/* One thing in one program that cannot be done here: an address of data in data. */
#include "common.h"

extern void *bpf_obj_new_impl(unsigned long type, void *meta) __attribute__((section(".ksyms")));
extern void bpf_obj_drop_impl(void *object, void *meta) __attribute__((section(".ksyms")));

struct own {
	long number;
};

SEC("tc")
int fine(void *ctx)
{
	return 0;
}

SEC("tc")
int allocates(void *ctx)
{
	void *own;

	own = bpf_obj_new_impl(type_id(struct own, TYPE_ID_LOCAL), 0);
	if (own)
		bpf_obj_drop_impl(own, 0);
	return 0;
}
