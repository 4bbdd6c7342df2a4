/* A program whose section does not say what it is for. */
#include "common.h"

SEC("mystery/box")
int unknown(void *ctx)
{
	return 0;
}

SEC("tc")
int known(void *ctx)
{
	return 0;
}
