/* A program in a section that the test names. */
#include "common.h"

SEC(SECTION)
int program(void *ctx)
{
	return RETURNS;
}
