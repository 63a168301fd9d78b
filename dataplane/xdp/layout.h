/* SPDX-License-Identifier: Apache-2.0 */
/* The maps of the XDP program (steer.bpf.c) as both sides see them: C for the program, and for
 * control/xdp, which fills them. Addresses are 16 bytes, IPv4 ones v4-mapped; ports are in wire
 * order. Written by the control thread, read by the program; counters the other way round. */
#pragma once

#include <linux/types.h>

/* An own address of the data plane: key of `own`, with these flags as the value. */
struct lf_xdp_address {
  __u8 bytes[16];
};
enum {
  LF_XDP_KERNEL = 1,    /* the kernel has it, too: only what is at one of our endpoints is ours */
  LF_XDP_NEIGHBOUR = 2, /* we answer ARP and neighbour solicitations for it on this port */
  LF_XDP_ANY = 4,       /* a flow service takes every packet to it */
  LF_XDP_FRAGMENTS = 8, /* a flow service takes fragments to it */
};

/* What is ours of an address that the kernel has, too: key of `endpoints`. */
struct lf_xdp_endpoint {
  struct lf_xdp_address address;
  __be16 port; /* 0: all */
  __u8 protocol;
  __u8 zero;
};

/* What the program knows of its port; a global variable. */
struct lf_xdp_port {
  __u32 vlan;      /* of the own addresses; 0: any */
  __u32 take_all;  /* 1: nothing is the kernel's here, it has a port behind the daemon */
  __u32 nat_first; /* ports of own addresses that flows are translated to, host order */
  __u32 nat_count;
};

/* Keys of the deny tries; the value is the prefix's place in `denied`. */
struct lf_xdp_prefix4 {
  __u32 length;
  __u8 bytes[4];
};
struct lf_xdp_prefix6 {
  __u32 length;
  __u8 bytes[16];
};
struct lf_xdp_denied {
  __u64 packets, bytes;
};

/* Places of the per-CPU array `counts`. */
enum {
  LF_XDP_STEERED,   /* to the socket of the packet's queue */
  LF_XDP_PASSED,    /* to the kernel */
  LF_XDP_DENIED,    /* dropped: denied source */
  LF_XDP_NO_SOCKET, /* ours, but no socket on that queue: to the kernel */
  LF_XDP_COPIED,    /* neighbours' answers to the kernel, with a copy for us */
  LF_XDP_COPY_LOST, /* the same, but there was no room for the copy */
  LF_XDP_COUNTS,
};

/* A copy in the ring `heard`. */
#define LF_XDP_HEARD_MAX 128
struct lf_xdp_heard {
  __u32 length;
  __u8 frame[LF_XDP_HEARD_MAX];
};

#define LF_XDP_QUEUES_MAX 256
#define LF_XDP_OWN_MAX 16384
#define LF_XDP_ENDPOINTS_MAX 65536
#define LF_XDP_DENY_MAX 16384
#define LF_XDP_HEARD_BYTES (64 * 1024)
