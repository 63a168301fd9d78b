// SPDX-License-Identifier: Apache-2.0
// The XDP program of an af_xdp port. Runs in the driver, before the kernel's network stack: sends
// what is the data plane's to the AF_XDP socket of the packet's queue, drops what comes from
// denied prefixes, and leaves everything else to the kernel. Without a socket (the daemon is gone)
// everything goes to the kernel. docs/af_xdp.md says what is whose, and why.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "layout.h"
#include "seats_map.bpf.h"

#define INLINE static __always_inline
#define FRAGMENT bpf_htons(0x3fff) /* more fragments, or an offset */
#define VLAN_ID 0x0fff

enum { ARP_ETHERNET = 1, ARP_REQUEST = 1, ARP_REPLY = 2 };
enum { UNREACHABLE4 = 3, TIME_EXCEEDED4 = 11, PARAMETER_PROBLEM4 = 12 };
enum { UNREACHABLE6 = 1, PARAMETER_PROBLEM6 = 4, SOLICITATION = 135, ADVERTISEMENT = 136 };

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LF_XDP_OWN_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct lf_xdp_address);
  __type(value, __u32);
} own SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, LF_XDP_ENDPOINTS_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct lf_xdp_endpoint);
  __type(value, __u32);
} endpoints SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, LF_XDP_DENY_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct lf_xdp_prefix4);
  __type(value, __u32);
} deny4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, LF_XDP_DENY_MAX);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct lf_xdp_prefix6);
  __type(value, __u32);
} deny6 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, LF_XDP_DENY_MAX);
  __type(key, __u32);
  __type(value, struct lf_xdp_denied);
} denied SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, LF_XDP_COUNTS);
  __type(key, __u32);
  __type(value, __u64);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, LF_XDP_HEARD_BYTES);
} heard SEC(".maps");

struct lf_xdp_port port;  // written by control

enum decision { PASS, TAKE, COPY, DENY };

struct vlan_header {
  __be16 tci, type;
};
struct arp_ipv4 {
  __be16 hardware, protocol;
  __u8 hardware_length, protocol_length;
  __be16 operation;
  __u8 sender_mac[ETH_ALEN];
  __u8 sender[4];
  __u8 target_mac[ETH_ALEN];
  __u8 target[4];
} __attribute__((packed));
struct ports {
  __be16 source, destination;
};
struct icmp {  // ICMPv6, too
  __u8 type, code;
  __be16 checksum;
  __be32 rest;
};
struct discovery {
  struct icmp icmp;
  struct lf_xdp_address target;
};

INLINE void count(__u32 place) {
  __u64* n = bpf_map_lookup_elem(&counts, &place);
  if (n) *n += 1;
}

INLINE struct lf_xdp_address mapped(const void* ipv4) {
  struct lf_xdp_address a = {.bytes = {[10] = 0xff, [11] = 0xff}};
  __builtin_memcpy(a.bytes + 12, ipv4, 4);
  return a;
}

INLINE __u32 flags_of(const struct lf_xdp_address* a, int* is_own) {
  const __u32* flags = bpf_map_lookup_elem(&own, a);
  *is_own = flags != 0;
  return flags ? *flags : 0;
}

// Whether a port of an own address is one of our endpoints, or NAT's.
INLINE int is_endpoint(const struct lf_xdp_address* a, __u8 protocol, __be16 number) {
  struct lf_xdp_endpoint key = {.address = *a, .port = number, .protocol = protocol};
  if (bpf_map_lookup_elem(&endpoints, &key)) return 1;
  if (bpf_ntohs(number) - port.nat_first < port.nat_count) return 1;
  key.port = 0;
  return bpf_map_lookup_elem(&endpoints, &key) != 0;
}

INLINE int has_ports(__u8 protocol) {
  return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP;
}

INLINE enum decision drop_or_take(const __u32* place, const void* data, const void* end) {
  if (!place) return TAKE;
  struct lf_xdp_denied* d = bpf_map_lookup_elem(&denied, place);
  if (d) {
    d->packets += 1;
    d->bytes += end - data;
  }
  return DENY;
}

// An ICMP error is ours when the packet that it quotes was sent from one of our endpoints.
INLINE int quotes_us4(const void* l4, const void* end) {
  const struct icmp* icmp = l4;
  const struct iphdr* quoted = (const void*)(icmp + 1);
  if ((const void*)(quoted + 1) > end) return 0;
  if (icmp->type != UNREACHABLE4 && icmp->type != TIME_EXCEEDED4 &&
      icmp->type != PARAMETER_PROBLEM4)
    return 0;
  if (quoted->ihl != 5 || !has_ports(quoted->protocol)) return 0;
  const struct ports* ports = (const void*)(quoted + 1);
  if ((const void*)(ports + 1) > end) return 0;
  const struct lf_xdp_address source = mapped(&quoted->saddr);
  return is_endpoint(&source, quoted->protocol, ports->source);
}

INLINE int quotes_us6(const void* l4, const void* end) {
  const struct icmp* icmp = l4;
  const struct ipv6hdr* quoted = (const void*)(icmp + 1);
  const struct ports* ports = (const void*)(quoted + 1);
  if ((const void*)(ports + 1) > end) return 0;
  if (icmp->type < UNREACHABLE6 || icmp->type > PARAMETER_PROBLEM6 || !has_ports(quoted->nexthdr))
    return 0;
  struct lf_xdp_address source;
  __builtin_memcpy(&source, &quoted->saddr, sizeof(source));
  return is_endpoint(&source, quoted->nexthdr, ports->source);
}

INLINE enum decision judge_arp(const void* l3, const void* end) {
  const struct arp_ipv4* arp = l3;
  if ((const void*)(arp + 1) > end) return PASS;
  if (arp->hardware != bpf_htons(ARP_ETHERNET) || arp->protocol != bpf_htons(ETH_P_IP)) return PASS;
  const struct lf_xdp_address target = mapped(arp->target);
  int is_own;
  const __u32 flags = flags_of(&target, &is_own);
  const int gratuitous = __builtin_memcmp(arp->sender, arp->target, 4) == 0;
  if (arp->operation == bpf_htons(ARP_REQUEST) && is_own)
    return flags & LF_XDP_NEIGHBOUR ? TAKE : PASS;
  if (arp->operation == bpf_htons(ARP_REPLY) && is_own) return flags & LF_XDP_KERNEL ? COPY : TAKE;
  return gratuitous ? COPY : PASS;
}

INLINE enum decision judge_discovery(const struct ipv6hdr* ip, const void* end) {
  const struct discovery* message = (const void*)(ip + 1);
  if ((const void*)(message + 1) > end) return PASS;
  int is_own;
  struct lf_xdp_address a;
  if (message->icmp.type == SOLICITATION) {
    a = message->target;
    return flags_of(&a, &is_own) & LF_XDP_NEIGHBOUR ? TAKE : PASS;
  }
  __builtin_memcpy(&a, &ip->daddr, sizeof(a));
  if (a.bytes[0] == 0xff) return COPY;  // unsolicited, to all nodes
  const __u32 flags = flags_of(&a, &is_own);
  if (!is_own) return PASS;
  return flags & LF_XDP_KERNEL ? COPY : TAKE;
}

// Whether a packet to an address that the kernel has, too, is ours.
INLINE int is_ours(const struct lf_xdp_address* to, __u32 flags, __u8 protocol, int fragment,
                   const void* l4, const void* end) {
  if (flags & LF_XDP_ANY) return 1;
  if (fragment) return (flags & LF_XDP_FRAGMENTS) != 0;
  if (protocol == IPPROTO_ICMP) return quotes_us4(l4, end);
  if (protocol == IPPROTO_ICMPV6) return quotes_us6(l4, end);
  const struct ports* ports = l4;
  if (!has_ports(protocol) || (const void*)(ports + 1) > end) return 0;
  return is_endpoint(to, protocol, ports->destination);
}

INLINE enum decision judge_ipv4(const void* data, const void* l3, const void* end) {
  const struct iphdr* ip = l3;
  if ((const void*)(ip + 1) > end || ip->ihl < 5) return PASS;
  const struct lf_xdp_address to = mapped(&ip->daddr);
  int is_own;
  const __u32 flags = flags_of(&to, &is_own);
  if (!is_own) return PASS;
  if (flags & LF_XDP_KERNEL &&
      !is_ours(&to, flags, ip->protocol, (ip->frag_off & FRAGMENT) != 0, l3 + ip->ihl * 4, end))
    return PASS;
  struct lf_xdp_prefix4 from = {.length = 32};
  __builtin_memcpy(from.bytes, &ip->saddr, sizeof(from.bytes));
  return drop_or_take(bpf_map_lookup_elem(&deny4, &from), data, end);
}

INLINE enum decision judge_ipv6(const void* data, const void* l3, const void* end) {
  const struct ipv6hdr* ip = l3;
  if ((const void*)(ip + 1) > end) return PASS;
  if (ip->nexthdr == IPPROTO_ICMPV6) {
    const struct icmp* icmp = (const void*)(ip + 1);
    if ((const void*)(icmp + 1) > end) return PASS;
    if (icmp->type == SOLICITATION || icmp->type == ADVERTISEMENT) return judge_discovery(ip, end);
  }
  struct lf_xdp_address to;
  __builtin_memcpy(&to, &ip->daddr, sizeof(to));
  int is_own;
  const __u32 flags = flags_of(&to, &is_own);
  if (!is_own) return PASS;
  if (flags & LF_XDP_KERNEL &&
      !is_ours(&to, flags, ip->nexthdr, ip->nexthdr == IPPROTO_FRAGMENT, ip + 1, end))
    return PASS;
  struct lf_xdp_prefix6 from = {.length = 128};
  __builtin_memcpy(from.bytes, &ip->saddr, sizeof(from.bytes));
  return drop_or_take(bpf_map_lookup_elem(&deny6, &from), data, end);
}

INLINE enum decision judge(const struct xdp_md* ctx) {
  const void* data = (const void*)(long)ctx->data;
  const void* end = (const void*)(long)ctx->data_end;
  const struct ethhdr* eth = data;
  const void* l3 = eth + 1;
  if (l3 > end) return PASS;
  __be16 type = eth->h_proto;
  __u32 vlan = 0;
  if (type == bpf_htons(ETH_P_8021Q)) {
    const struct vlan_header* tag = l3;
    l3 = tag + 1;
    if (l3 > end) return PASS;
    type = tag->type;
    vlan = bpf_ntohs(tag->tci) & VLAN_ID;
  }
  if (port.vlan && vlan != port.vlan) return PASS;
  switch (type) {
    case bpf_htons(ETH_P_IP):
      return judge_ipv4(data, l3, end);
    case bpf_htons(ETH_P_IPV6):
      return judge_ipv6(data, l3, end);
    case bpf_htons(ETH_P_ARP):
      return judge_arp(l3, end);
    default:
      return PASS;
  }
}

INLINE int copy_to_control(struct xdp_md* ctx) {
  struct lf_xdp_heard* h = bpf_ringbuf_reserve(&heard, sizeof(*h), 0);
  if (!h) return 0;
  __u32 length = ctx->data_end - ctx->data;
  if (length > LF_XDP_HEARD_MAX) length = LF_XDP_HEARD_MAX;
  if (length == 0 || bpf_xdp_load_bytes(ctx, 0, h->frame, length) != 0) {
    bpf_ringbuf_discard(h, 0);
    return 0;
  }
  h->length = length;
  bpf_ringbuf_submit(h, 0);
  return 1;
}

SEC("xdp")
int lf_steer(struct xdp_md* ctx) {
  enum decision decision = judge(ctx);
  if (port.take_all && decision != DENY) decision = TAKE;
  switch (decision) {
    case DENY:
      count(LF_XDP_DENIED);
      return XDP_DROP;
    case TAKE: {
      const int verdict = bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
      count(verdict == XDP_REDIRECT ? LF_XDP_STEERED : LF_XDP_NO_SOCKET);
      return verdict;
    }
    case COPY:
      count(copy_to_control(ctx) ? LF_XDP_COPIED : LF_XDP_COPY_LOST);
      return XDP_PASS;
    default:
      count(LF_XDP_PASSED);
      return XDP_PASS;
  }
}

char kLicense[] SEC("license") = "Apache-2.0";
