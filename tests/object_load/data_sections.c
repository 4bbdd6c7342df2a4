/* Several sections of data and of constants, each a map of its own. */
#include "common.h"

long plain = 1;
long zero;
const volatile long constant = 2;
long own SEC(".data.own") = 3;
static volatile long hidden SEC(".data.hidden") = 4;
const volatile int first SEC(".rodata.first") = 5;
const volatile char second[3] SEC(".rodata.second") = { 6, 7, 8 };

SEC("tc")
int sums(void *skb)
{
	hidden++;
	own += 2;
	zero += plain++ + constant;
	return own + hidden + first + second[1];
}
