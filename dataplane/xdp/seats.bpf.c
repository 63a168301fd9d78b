// SPDX-License-Identifier: Apache-2.0
// What DPDK's AF_XDP driver is given to load: a program that leaves everything to the kernel, with
// the map into which the driver puts its sockets. control/xdp then takes the map over into the
// program that steers, and this one away.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "layout.h"
#include "seats_map.bpf.h"

SEC("xdp")
int lf_seats(struct xdp_md* ctx) {
  // A program has the maps that it uses, and no others.
  __u32 queue = ctx->rx_queue_index;
  (void)bpf_map_lookup_elem(&xsks_map, &queue);
  return XDP_PASS;
}

char kLicense[] SEC("license") = "Apache-2.0";
