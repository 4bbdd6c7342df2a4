/* Variables of unusual shapes: arrays of arrays, structs in arrays in structs, nothing at all, floating point, a page of its own. */
#include "common.h"

typedef unsigned int u32;
typedef signed long i64;

struct cell { signed char tag : 3; unsigned char rest : 5; short wide; } __attribute__((packed));
enum wide { SMALL = 1, LARGE = 0x123456789abcULL, NEGATIVE = -1 };
union either { i64 number; u32 halves[2]; struct { short a, b, c, d; }; };

int grid[3][4][5] = { { { 1, 2 }, { 3 } }, { [3] = { [4] = 7 } } };
struct { struct cell cells[2][3]; union either either; } nested = { .cells = { [1] = { [2] = { 1, 2, 300 } } }, .either.d = 9 };
const volatile enum wide chosen = LARGE;
const volatile _Bool flags[2][2] = { { 1, 0 }, { 0, 1 } };
char page[4096] __attribute__((aligned(4096)));
long behind __attribute__((aligned(64)));
struct nothing { } nothing;
double floating = 1.5;
float pair[2];
int flexible_before;
struct { int count; int numbers[]; } flexible = { 2, { 40, 2 } };
static volatile long hidden_counter;
volatile const char text[] = "a \"text\" \\ of \x01 letters";
int first_of_two = 1, *pointer_to_nothing;

SEC("tc")
int reads(void *ctx)
{
	u32 n = out[0] & 3;

	hidden_counter++;
	page[n] = 5;
	behind += page[n];
	grid[1][3][4] += n;
	nested.either.halves[1] += nested.cells[1][2].wide;
	return grid[1][3][4] + nested.cells[1][2].tag + flags[1][1] + (chosen >> 32) + flexible.numbers[n & 1] + text[n] + hidden_counter;
}
