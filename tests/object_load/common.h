/* Declarations that the sources here share: no header of the kernel, of libbpf or of libc is needed. */
#define SEC(name) __attribute__((section(name), used))
#define CORE __attribute__((preserve_access_index))

enum { FIELD_OFFSET, FIELD_SIZE, FIELD_EXISTS, FIELD_SIGNED, FIELD_LSHIFT, FIELD_RSHIFT };
enum { TYPE_EXISTS, TYPE_SIZE, TYPE_MATCHES };
enum { ENUM_EXISTS, ENUM_VALUE };
enum { TYPE_ID_LOCAL, TYPE_ID_TARGET };

#define field(access, kind) __builtin_preserve_field_info(access, kind)
#define type(name, kind) __builtin_preserve_type_info(*(typeof(name) *)0, kind)
#define type_id(name, kind) __builtin_btf_type_id(*(typeof(name) *)0, kind)
#define enumerator(of, value, kind) __builtin_preserve_enum_value(*(typeof(of) *)value, kind)

static void *(*const current_task)(void) = (void *)158;

#ifndef LICENSE_IS
#define LICENSE_IS "GPL"
#endif
char LICENSE[] SEC("license") = LICENSE_IS;
unsigned long out[64];
