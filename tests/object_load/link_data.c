/* Linked with link_data_other.c: variables there, and sections of one name with different alignments. */
#include "common.h"

extern int counter;
extern const volatile short limits[];
extern long spare[4];
extern const volatile int tuned;

static int hidden = 7;
static const volatile char label[3] = "ab";
char small = 1;
unsigned char tail[3] = { 1, 2, 3 };
__attribute__((weak)) long taken = 11;
__attribute__((weak)) long replaced = 12;
long elsewhere SEC(".data.own") = 13;

SEC("socket")
int reads(void *ctx)
{
	hidden += limits[1];
	spare[2] += hidden;
	spare[1] += small;
	out[1] = taken + replaced + elsewhere + tail[2];
	return counter++ + tuned + label[1] + spare[2] + out[1];
}
