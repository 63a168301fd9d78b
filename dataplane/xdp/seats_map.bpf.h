// SPDX-License-Identifier: Apache-2.0
// The map of the queues' AF_XDP sockets: DPDK's driver fills it in lf_seats, lf_steer takes it over.
// So both programs must mean the very same map.
#pragma once

#include "layout.h"

struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, LF_XDP_QUEUES_MAX);
  __type(key, __u32);
  __type(value, __u32);
} xsks_map SEC(".maps");
