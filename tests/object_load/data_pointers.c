/* Addresses in data, which no loader fills in: in their places is what the file has there, zero or an offset. */
#include "common.h"

static int *passed(int *of)
{
	asm volatile("" : "+r"(of));
	return of;
}

int number = 3;
static volatile int unused[2] = { 7, 8 };
int *global = &number;
int *local = (int *)&unused[1];
const char *names[] = { "one", "two" };
int called(void *ctx);
void *table[] = { (void *)called, (void *)called };

SEC("socket")
int reads(void *ctx)
{
	out[0] = (unsigned long)passed(global);
	out[1] = (unsigned long)passed(local);
	out[2] = (unsigned long)passed((int *)names[1]);
	out[3] = (unsigned long)passed((int *)table[1]);
	return number + unused[0];
}

SEC("socket")
int called(void *ctx)
{
	return 4;
}
