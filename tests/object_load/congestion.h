/* Congestion control of TCP, as a struct of functions. The members are found by their names. */
#include "common.h"
#include "tcp.h"

SEC("struct_ops/half")
unsigned int half(unsigned long *ctx)
{
	return 2;
}

SEC("struct_ops/avoid")
void avoid(unsigned long *ctx)
{
}

SEC("struct_ops/undo")
unsigned int undo(unsigned long *ctx)
{
	return 3;
}
