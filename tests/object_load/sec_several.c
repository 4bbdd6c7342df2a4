/* Many programs of one section, and of one name in parts. */
#include "common.h"

SEC("tc") int classifier(void *skb) { return 1; }
SEC("tc") int classifier_1(void *skb) { return 2; }
SEC("xdp") int filter(void *xdp) { return 2; }
SEC("tc") int classifier_2(void *skb) { return out[3]; }
SEC("xdp") int filter_1(void *xdp) { out[3] = 1; return 1; }
SEC("raw_tp/sched_switch") int sched_switch(void *ctx) { return 0; }
