/* Memory that a program allocates by types of its own, in a list and in a tree. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define TAG(text) __attribute__((btf_decl_tag(text)))

struct bpf_spin_lock {
	unsigned int val;
};

struct bpf_list_head {
	unsigned long words[2];
} __attribute__((aligned(8)));

struct bpf_list_node {
	unsigned long words[3];
} __attribute__((aligned(8)));

struct own {
	long a;
	struct bpf_list_node node;
	int b;
};

extern void *bpf_obj_new_impl(unsigned long type, void *meta) KSYM;
extern void bpf_obj_drop_impl(void *allocated, void *meta) KSYM;
extern int bpf_list_push_back_impl(struct bpf_list_head *head, struct bpf_list_node *node,
				   void *meta, unsigned long offset) KSYM;
extern struct bpf_list_node *bpf_list_pop_front(struct bpf_list_head *head) KSYM;

static void (*const lock)(struct bpf_spin_lock *) = (void *)93;
static void (*const unlock)(struct bpf_spin_lock *) = (void *)94;

struct bpf_spin_lock guard SEC(".data.list");
struct bpf_list_head head SEC(".data.list") TAG("contains:own:node");

/* One that comes first has the number that a loader must not take for that of `own`. */
struct other {
	char bytes[100];
} before;

#define own_of(found) \
	((struct own *)((void *)(found) - __builtin_offsetof(struct own, node)))

SEC("tc")
int allocates(void *ctx)
{
	struct own *own = bpf_obj_new_impl(type_id(struct own, TYPE_ID_LOCAL), 0);
	struct bpf_list_node *found;
	long a = -1;

	if (!own)
		return -1;
	own->a = 40;
	own->b = before.bytes[3] + 2;
	lock(&guard);
	bpf_list_push_back_impl(&head, &own->node, 0, 0);
	found = bpf_list_pop_front(&head);
	unlock(&guard);
	if (found) {
		own = own_of(found);
		a = own->a + own->b;
		bpf_obj_drop_impl(own, 0);
	}
	return a;
}
