/* A tree of own types, in variables that only this object sees. */
#include "common.h"

#define KSYM __attribute__((section(".ksyms")))
#define TAG(text) __attribute__((btf_decl_tag(text)))
#define HIDDEN __attribute__((visibility("hidden")))

struct bpf_spin_lock { unsigned int val; };
struct bpf_rb_root { unsigned long words[2]; } __attribute__((aligned(8)));
struct bpf_rb_node { unsigned long words[4]; } __attribute__((aligned(8)));
struct leaf { long key; struct bpf_rb_node node; };

extern void *bpf_obj_new_impl(unsigned long type, void *meta) KSYM;
extern void bpf_obj_drop_impl(void *allocated, void *meta) KSYM;
extern int bpf_rbtree_add_impl(struct bpf_rb_root *root, struct bpf_rb_node *node,
			       _Bool (*less)(struct bpf_rb_node *a, const struct bpf_rb_node *b), void *meta, unsigned long offset) KSYM;
extern struct bpf_rb_node *bpf_rbtree_first(struct bpf_rb_root *root) KSYM;
static void (*const lock)(struct bpf_spin_lock *) = (void *)93;
static void (*const unlock)(struct bpf_spin_lock *) = (void *)94;

HIDDEN struct bpf_spin_lock guard SEC(".data.tree") __attribute__((aligned(8)));
HIDDEN struct bpf_rb_root root SEC(".data.tree") __attribute__((aligned(8))) TAG("contains:leaf:node");

static _Bool less(struct bpf_rb_node *a, const struct bpf_rb_node *b)
{
	struct leaf *one = (void *)a - __builtin_offsetof(struct leaf, node);
	struct leaf *two = (void *)b - __builtin_offsetof(struct leaf, node);

	return one->key < two->key;
}

SEC("tc")
int grows(void *ctx)
{
	struct leaf *leaf = bpf_obj_new_impl(type_id(struct leaf, TYPE_ID_LOCAL), 0);
	struct bpf_rb_node *first;
	long key = -1;

	if (!leaf)
		return -1;
	leaf->key = 9;
	lock(&guard);
	bpf_rbtree_add_impl(&root, &leaf->node, less, 0, 0);
	first = bpf_rbtree_first(&root);
	if (first)
		key = ((struct leaf *)((void *)first - __builtin_offsetof(struct leaf, node)))->key;
	unlock(&guard);
	return key;
}
