/* Weak, hidden and tagged: functions and variables as an author of a library for BPF declares them. */
#include "common.h"

#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))
#define HIDDEN __attribute__((visibility("hidden")))
#define TAG(text) __attribute__((btf_decl_tag(text)))

struct __sk_buff { unsigned int len; };

WEAK int weak_number = 5;
WEAK HIDDEN int hidden_number = 6;
HIDDEN const volatile int hidden_constant = 7;
extern int absent_function(int n) WEAK __attribute__((section(".ksyms")));
extern const int absent_variable WEAK __attribute__((section(".ksyms")));

WEAK NOINLINE int weak_function(int n)
{
	return n + weak_number;
}

WEAK HIDDEN NOINLINE int weak_hidden(int n, int more)
{
	return weak_function(n) * hidden_number + more;
}

NOINLINE int of_context(struct __sk_buff *skb TAG("arg:ctx"))
{
	return skb->len + weak_hidden(1, 2);
}

NOINLINE HIDDEN TAG("a tag that nobody reads") long unused_here(void)
{
	return 1;
}

/* One more name for the same. */
SEC("tc")
int uses(struct __sk_buff *skb)
{
	int sum = of_context(skb);

	if (&absent_variable)
		sum += absent_variable;
	if (absent_function)
		sum += absent_function(3);
	return sum + hidden_constant;
}

SEC("tc") WEAK
int weak_program(struct __sk_buff *skb)
{
	return weak_hidden(3, 4);
}
