/* Names of programs, functions, maps and variables that are longer than the kernel's. */
#include "maps.h"

struct { NUMBER(type, ARRAY); TYPE(key, int); TYPE(value, long); NUMBER(max_entries, 4); } a_map_with_a_name_that_is_too_long SEC(".maps");
long a_variable_with_a_name_that_is_too_long = 4;

static __attribute__((noinline)) int a_function_with_a_name_that_is_too_long(int key)
{
	return lookup(&a_map_with_a_name_that_is_too_long, &key) != 0;
}

SEC("tc")
int a_program_with_a_name_that_is_too_long(void *skb)
{
	return a_function_with_a_name_that_is_too_long(2) + a_variable_with_a_name_that_is_too_long;
}
