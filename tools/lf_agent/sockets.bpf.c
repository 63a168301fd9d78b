// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
// BPF iterators of lf-agent: walk over the UDP and TCP sockets of the agent's network namespace and
// add up, for each port in `ports`, what waits in them. They run when the agent reads from their
// descriptors, on its thread; nothing runs, and nothing slows down a packet, in between.
#include "kernel.bpf.h"

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <linux/in.h>

#include "layout.h"

#define INLINE static __always_inline

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LF_AGENT_PORTS_MAX);
  __type(key, struct lf_agent_port);
  __type(value, struct lf_agent_sockets);
} ports SEC(".maps");

// A socket's counters at the walk before. Goes with the socket.
struct seen {
  __u32 drops, segments, resent;
};
struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct seen);
} seen_sockets SEC(".maps");

INLINE struct lf_agent_sockets* sockets_of(const struct sock_common* sk, __u8 protocol) {
  const struct lf_agent_port port = {.port = sk->skc_num, .protocol = protocol};
  return bpf_map_lookup_elem(&ports, &port);
}

INLINE void add_receive_queue(struct lf_agent_sockets* to, const struct sock* sk) {
  to->receive_bytes += sk->sk_backlog.rmem_alloc.counter;
  to->receive_limit += sk->sk_rcvbuf;
}

INLINE __u32 drops_of(const struct sock* sk) {
  const struct sock___with_drop_counters* newer = (const void*)sk;
  if (bpf_core_field_exists(newer->sk_drop_counters)) {
    const struct numa_drop_counters* by_node = BPF_CORE_READ(newer, sk_drop_counters);
    if (by_node)
      return BPF_CORE_READ(by_node, drops0.counter) + BPF_CORE_READ(by_node, drops1.counter);
  }
  return sk->sk_drops.counter;
}

SEC("iter/udp")
int lf_udp_sockets(struct bpf_iter__udp* ctx) {
  struct udp_sock* udp = ctx->udp_sk;
  if (!udp) return 0;  // the end
  struct sock* sk = &udp->inet.sk;
  struct lf_agent_sockets* sum = sockets_of(&sk->__sk_common, IPPROTO_UDP);
  if (!sum) return 0;
  sum->listening += 1;
  add_receive_queue(sum, sk);
  sum->waiting += sk->sk_receive_queue.qlen + udp->reader_queue.qlen;
  struct seen* before = bpf_sk_storage_get(&seen_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!before) return 0;
  const __u32 drops = drops_of(sk);
  sum->drops += drops - before->drops;
  before->drops = drops;
  return 0;
}

INLINE void add_connection(struct lf_agent_sockets* sum, struct tcp_sock* tcp) {
  struct sock* sk = &tcp->inet_conn.icsk_inet.sk;
  if (!sk->sk_socket) return;  // not accepted yet: its listener counts it; or closed
  sum->connections += 1;
  add_receive_queue(sum, sk);
  sum->waiting += tcp->rcv_nxt != tcp->copied_seq;
  struct seen* before = bpf_sk_storage_get(&seen_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!before) return;
  const __u32 segments = tcp->data_segs_out, resent = tcp->total_retrans;
  sum->segments += segments - before->segments;
  sum->resent += resent - before->resent;
  before->segments = segments;
  before->resent = resent;
}

SEC("iter/tcp")
int lf_tcp_sockets(struct bpf_iter__tcp* ctx) {
  struct sock_common* common = ctx->sk_common;
  if (!common) return 0;
  struct lf_agent_sockets* sum = sockets_of(common, IPPROTO_TCP);
  if (!sum) return 0;
  struct tcp_sock* tcp = bpf_skc_to_tcp_sock(common);  // null for TIME_WAIT and requests
  if (!tcp) return 0;
  if (common->skc_state != STATE_LISTEN) {
    add_connection(sum, tcp);
    return 0;
  }
  const struct sock* sk = &tcp->inet_conn.icsk_inet.sk;
  sum->listening += 1;
  sum->accept_waiting += sk->sk_ack_backlog;
  sum->accept_limit += sk->sk_max_ack_backlog;
  sum->waiting += sk->sk_ack_backlog;
  return 0;
}

// The kernel lends the helpers that read its structures to GPL-compatible programs only.
char kLicense[] SEC("license") = "Dual BSD/GPL";
