/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
 * The fields of kernel structures that sockets.bpf.c reads. Where they are in the running kernel,
 * libbpf looks up in the kernel's BTF when it loads the program (CO-RE); their places here mean
 * nothing. Nothing of the machine that compiles gets in, unlike with a generated vmlinux.h. */
#pragma once

#include <linux/types.h>

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

struct sock_common {
  __u16 skc_num; /* local port, host order */
  unsigned char skc_state;
};

struct sk_buff_head {
  __u32 qlen;
};

struct socket;

struct sock {
  struct sock_common __sk_common;
  atomic_t sk_drops;
  struct sk_buff_head sk_receive_queue;
  struct {
    atomic_t rmem_alloc;
  } sk_backlog;
  int sk_rcvbuf;
  __u32 sk_ack_backlog;
  __u32 sk_max_ack_backlog;
  struct socket* sk_socket; /* null until it is accepted, and when the application has closed it */
};

struct inet_sock {
  struct sock sk;
};

struct inet_connection_sock {
  struct inet_sock icsk_inet;
};

struct udp_sock {
  struct inet_sock inet;
  struct sk_buff_head reader_queue; /* taken over from sk_receive_queue by a reader */
};

struct tcp_sock {
  struct inet_connection_sock inet_conn;
  __u32 copied_seq; /* first byte that the application has not read */
  __u32 rcv_nxt;
  __u32 data_segs_out;
  __u32 total_retrans;
};

/* Since Linux 6.18 UDP counts its drops here. */
struct numa_drop_counters {
  atomic_t drops0;
  atomic_t drops1;
};
struct sock___with_drop_counters {
  struct numa_drop_counters* sk_drop_counters;
};

struct seq_file;
struct bpf_iter_meta {
  struct seq_file* seq;
};
struct bpf_iter__udp {
  struct bpf_iter_meta* meta;
  struct udp_sock* udp_sk;
};
struct bpf_iter__tcp {
  struct bpf_iter_meta* meta;
  struct sock_common* sk_common;
};

#pragma clang attribute pop

enum { STATE_LISTEN = 10 }; /* enum tcp states, fixed since ever: they are in /proc/net/tcp */
