/* Control groups: sockets, addresses, devices, settings and options. */
#include "common.h"

struct bpf_sock { unsigned int bound, family, type, protocol; };
struct bpf_sock_addr { unsigned int user_family, user_ip4; };
struct bpf_cgroup_dev_ctx { unsigned int access_type, major, minor; };
struct bpf_sysctl { unsigned int write, file_pos; };
struct bpf_sockopt { unsigned long sk, optval, optval_end; int level, optname, optlen, retval; };

SEC("cgroup/sock_create")
int creates(struct bpf_sock *sk)
{
	return sk->family != 77;
}

SEC("cgroup/connect4")
int connects(struct bpf_sock_addr *address)
{
	address->user_ip4 += 0;
	return address->user_family == 2;
}

SEC("cgroup/dev")
int opens(struct bpf_cgroup_dev_ctx *device)
{
	return device->major != 1 || device->minor != 3;
}

SEC("cgroup/sysctl")
int sets(struct bpf_sysctl *sysctl)
{
	return !sysctl->write;
}

SEC("cgroup/getsockopt")
int option(struct bpf_sockopt *option)
{
	if (option->optname == 77)
		option->retval = 0;
	return 1;
}
