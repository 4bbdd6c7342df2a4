/* Maps whose keys and values have all kinds of types: they are shown with them. */
#include "maps.h"

enum color { RED, GREEN };
typedef unsigned char byte_t;
struct key { enum color color; byte_t address[6]; union { int number; char letter; }; unsigned int low : 3, high : 5; };
struct value { const char *text; struct { long inner[2][3]; }; float fraction; void (*function)(int); _Bool flag; };
struct { NUMBER(type, HASH); TYPE(key, struct key); TYPE(value, struct value); NUMBER(max_entries, 2); } typed SEC(".maps");
struct { NUMBER(type, ARRAY); TYPE(key, enum color); TYPE(value, byte_t[5]); NUMBER(max_entries, 2); } bytes SEC(".maps");

SEC("tc")
int adds(void *skb)
{
	struct key key = { GREEN, { 1, 2, 3 }, { 4 } };
	static const struct value value;

	out[0] = update(&typed, &key, &value, 0);
	return lookup(&bytes, &key) != 0;
}
