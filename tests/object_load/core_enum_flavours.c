/* Enumerations by flavours, of 64 bits, signed, and without some of their values. */
#include "common.h"

enum bpf_func_id___one { BPF_FUNC_map_lookup_elem___one = 77, BPF_FUNC_absent___one = 78 };
enum pid_type___wide { PIDTYPE_PID___wide = 0x1000000000UL, PIDTYPE_SID___wide };
enum bpf_cond_pseudo_jmp___x { BPF_MAY_GOTO___x = 9 };
enum absent_enum { ABSENT_VALUE = -5 };
enum btf_field_type___big { BPF_KPTR_REF___big = 0x7fffffffffffffffUL };

SEC("tc")
int values(void *ctx)
{
	out[0] = enumerator(enum bpf_func_id___one, BPF_FUNC_map_lookup_elem___one, ENUM_VALUE);
	out[1] = enumerator(enum bpf_func_id___one, BPF_FUNC_absent___one, ENUM_EXISTS);
	out[2] = enumerator(enum pid_type___wide, PIDTYPE_SID___wide, ENUM_EXISTS);
	out[3] = enumerator(enum pid_type___wide, PIDTYPE_SID___wide, ENUM_VALUE);
	out[4] = type(enum pid_type___wide, TYPE_EXISTS);
	out[5] = type(enum absent_enum, TYPE_EXISTS);
	out[6] = enumerator(enum absent_enum, ABSENT_VALUE, ENUM_EXISTS);
	out[7] = type(enum pid_type___wide, TYPE_SIZE);
	if (enumerator(enum btf_field_type___big, BPF_KPTR_REF___big, ENUM_EXISTS))
		out[8] = enumerator(enum btf_field_type___big, BPF_KPTR_REF___big, ENUM_VALUE);
	return out[0] + out[3];
}
