/* Linked with link_data.c. */
#define out other_out
#include "common.h"

extern char small;
extern unsigned char tail[3];

int counter = 40;
const volatile short limits[5] = { 1, 20, 300 };
long spare[4];
const volatile int tuned = 3;

static int hidden = 9;
static const volatile char label[3] = "cd";
__attribute__((weak)) long taken = 111;
long replaced = 112;
long there SEC(".data.own") __attribute__((aligned(64))) = 113;

SEC("socket")
int writes(void *ctx)
{
	hidden += 2;
	counter += hidden;
	tail[1] += small;
	return counter + label[1] + taken + replaced + there + tail[1];
}
