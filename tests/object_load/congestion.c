/* A struct of functions that is registered with its map. */
#include "congestion.h"

struct tcp_congestion_ops rawbpf_cc SEC(".struct_ops") = {
	.name = "rawbpf_cc",
	.flags = 2,
	.ssthresh = (void *)half,
	.cong_avoid = (void *)avoid,
	.undo_cwnd = (void *)undo,
};
