/* What both objects know of congestion control. */
#include "common.h"
#include "tcp.h"

/* libbpf before 1.2 has no structs that are registered by links. */
#ifdef LINKS
#define TABLES ".struct_ops.link"
#else
#define TABLES ".struct_ops"
#endif
