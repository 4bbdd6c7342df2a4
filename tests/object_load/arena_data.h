/* Variables of an arena, and how a program comes to them. */
#include "maps.h"

/* Older compilers have no address spaces: there the section is said, and the instruction that leads into the arena. */
#if __clang_major__ >= 19
#define IN_ARENA __attribute__((address_space(1)))
#define ARENA_DATA IN_ARENA
#define AT(variable) (&(variable))
#else
#define IN_ARENA
#define ARENA_DATA __attribute__((section(".addr_space.1")))
#define AT(variable) ((typeof(&(variable)))led(&(variable)))
/* r1 = addr_space_cast(r1, 0, 1) */
static inline __attribute__((always_inline)) void *led(const volatile void *address)
{
	void *there;

	asm volatile("r1 = %1\n\t.quad 0x1000111bf\n\t%0 = r1" : "=r"(there) : "r"(address) : "r1");
	return there;
}
#endif
