/* Sections of probes that sleep, that are for many functions, and that run at entry and return (Linux 6.14). */
#include "common.h"

SEC("uprobe.s//bin/true:main")
int sleeps(unsigned long *regs) { return 0; }

SEC("uretprobe.s//bin/true:main")
int returns(unsigned long *regs) { return 0; }

SEC("uprobe.multi.s//bin/true:m*")
int many(unsigned long *regs) { return 0; }

SEC("uretprobe.multi//bin/true:m*")
int many_return(unsigned long *regs) { return 0; }

SEC("uprobe.session//bin/true:m*")
int session(unsigned long *regs) { return 0; }

SEC("uprobe.session.s//bin/true:m*")
int session_sleeps(unsigned long *regs) { return 0; }

SEC("kprobe.session/vfs_re*")
int kernel_session(unsigned long *regs) { return 1; }

SEC("kprobe.multi/vfs_*")
int kernel_many(unsigned long *regs) { return 0; }

SEC("syscall")
int call(void *ctx) { return 5; }

SEC("netkit/primary")
int pair(void *skb) { return -1; }
