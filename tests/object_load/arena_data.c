/* Variables of an arena: of one page and more, static ones, and structs. */
#include "maps.h"

struct { NUMBER(type, ARENA); NUMBER(map_flags, MMAPABLE); NUMBER(max_entries, 8); } arena SEC(".maps");

/* Older compilers have no address spaces: there the section is said, and the instruction that leads into the arena. */
#if __clang_major__ >= 19
#define IN_ARENA __attribute__((address_space(1)))
#define ARENA_DATA IN_ARENA
#define AT(variable) (&(variable))
#else
#define IN_ARENA
#define ARENA_DATA SEC(".addr_space.1")
#define AT(variable) ((typeof(&(variable)))led(&(variable)))
/* r1 = addr_space_cast(r1, 0, 1) */
static inline __attribute__((always_inline)) void *led(const volatile void *address)
{
	void *there;

	asm volatile("r1 = %1\n\t.quad 0x1000111bf\n\t%0 = r1" : "=r"(there) : "r"(address) : "r1");
	return there;
}
#endif

struct node {
	struct node IN_ARENA *next;
	long value;
};

volatile int ARENA_DATA counter = 5;
static volatile int ARENA_DATA hidden = 7;
volatile long ARENA_DATA table[1000] = { 1, 2, 3 };
volatile int ARENA_DATA zero;
struct node ARENA_DATA first = { 0, 40 };

SEC("syscall")
int counts(void *ctx)
{
	*AT(counter) += 2;
	*AT(hidden) += 3;
	*AT(zero) += 1;
	AT(table)[0][999] = AT(table)[0][2] + 7;
	out[0] = *AT(counter);
	out[1] = *AT(hidden);
	out[2] = AT(table)[0][999];
	return *AT(counter) + 100 * *AT(hidden) + 10000 * *AT(zero);
}

SEC("syscall")
int follows(void *ctx)
{
	AT(first)->value += 2;
	return AT(first)->value + *AT(counter);
}
