/* Numbers of 64 bits, byte swaps, signed shifts and divisions. */
#include "common.h"

volatile unsigned long number = 0x1122334455667788;
volatile int sign = -77;

SEC("tc")
int computes(void *skb)
{
	out[0] = number ^ 0xfedcba9876543210;
	out[1] = __builtin_bswap64(number) + __builtin_bswap32(number) + __builtin_bswap16(number);
	out[2] = (long)sign >> 3;
	out[3] = number / 1000 + number % 7;
	out[4] = (long)(short)number * (signed char)number;
	return sign >> 1;
}
