/* SPDX-License-Identifier: Apache-2.0
 * What the BPF programs of lf-agent (sockets.bpf.c) and the agent itself say to each other: the
 * map `ports`. Compiled as C for the kernel's virtual machine and as C++. */
#pragma once

#include <linux/types.h>

#define LF_AGENT_PORTS_MAX 64

/* A port that the agent was told to watch. */
struct lf_agent_port {
  __u16 port;
  __u8 protocol; /* IPPROTO_UDP, IPPROTO_TCP */
  __u8 zero;
};

/* Sums over the sockets of a port. The agent clears them before each walk over the sockets. */
struct lf_agent_sockets {
  __u64 listening;      /* bound UDP sockets, TCP listeners */
  __u64 connections;    /* TCP, accepted by the application */
  __u64 receive_bytes;  /* in receive queues, as the kernel charges them */
  __u64 receive_limit;  /* what fits */
  __u64 accept_waiting; /* connections that the application has not accepted */
  __u64 accept_limit;
  __u64 waiting; /* datagrams, unaccepted connections, and connections with unread bytes */
  /* Since the walk before, of sockets that live; of a new one since its beginning. */
  __u64 drops;    /* UDP */
  __u64 segments; /* TCP, with data, those sent again as well */
  __u64 resent;
};
