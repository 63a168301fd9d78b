// SPDX-License-Identifier: Apache-2.0
#include "tests/support/packet.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "dataplane/lcp/tag.hpp"

namespace lf::test {
namespace {

void put8(Bytes& out, uint8_t v) {
  out.push_back(v);
}
void put16(Bytes& out, uint16_t v) {
  out.insert(out.end(), {static_cast<uint8_t>(v >> 8), static_cast<uint8_t>(v)});
}
void put32(Bytes& out, uint32_t v) {
  put16(out, static_cast<uint16_t>(v >> 16));
  put16(out, static_cast<uint16_t>(v));
}
void put64(Bytes& out, uint64_t v) {
  put32(out, static_cast<uint32_t>(v >> 32));
  put32(out, static_cast<uint32_t>(v));
}
template <typename Range>
void put(Bytes& out, const Range& bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}
void set16(Bytes& out, size_t at, uint16_t v) {
  out[at] = static_cast<uint8_t>(v >> 8);
  out[at + 1] = static_cast<uint8_t>(v);
}
uint16_t get16(const Bytes& in, size_t at) {
  return static_cast<uint16_t>(in[at] << 8 | in[at + 1]);
}
Bytes slice(const Bytes& in, size_t from, size_t to) {
  return {in.begin() + static_cast<long>(from), in.begin() + static_cast<long>(to)};
}

bool is_v6(const Packet& p) {
  return p.dst.find(':') != std::string::npos;
}

uint16_t upper_checksum(const Packet& p, uint8_t protocol, const Bytes& upper, bool with_pseudo) {
  Bytes summed;
  if (with_pseudo) {
    put(summed, ip_bytes(p.src));
    put(summed, ip_bytes(p.dst));
    put16(summed, protocol);
    put32(summed, static_cast<uint32_t>(upper.size()));
  }
  put(summed, upper);
  return static_cast<uint16_t>(~naive_sum(summed));
}

Bytes build_udp(const Packet& p) {
  const Bytes payload = p.udp_payload ? *p.udp_payload : build_lcp(p.lcp);
  Bytes udp;
  put16(udp, p.src_port);
  put16(udp, p.dst_port);
  put16(udp, p.udp_length.value_or(static_cast<uint16_t>(8 + payload.size())));
  put16(udp, 0);
  put(udp, payload);
  const uint16_t checksum = upper_checksum(p, 17, udp, true);
  set16(udp, 6, p.udp_checksum.value_or(checksum == 0 ? 0xffff : checksum));
  return udp;
}

Bytes build_upper(const Packet& p) {
  if (!p.l4) return build_udp(p);
  Bytes upper = *p.l4;
  if (p.checksum_at >= 0)
    set16(upper, static_cast<size_t>(p.checksum_at),
          upper_checksum(p, p.protocol, upper, p.protocol == 58 || p.protocol == 6));
  return upper;
}

Bytes build_ipv4(const Packet& p, const Bytes& upper) {
  Bytes ip;
  const size_t header = 20 + p.ip_options.size();
  put8(ip, p.version_ihl.value_or(static_cast<uint8_t>(0x40 | header / 4)));
  put8(ip, p.tos);
  put16(ip, p.total_length.value_or(static_cast<uint16_t>(header + upper.size())));
  put16(ip, p.ip_id);
  put16(ip, p.fragment);
  put8(ip, p.ttl);
  put8(ip, p.protocol);
  put16(ip, 0);
  put(ip, ip_bytes(p.src));
  put(ip, ip_bytes(p.dst));
  put(ip, p.ip_options);
  set16(ip, 10, p.ip_checksum.value_or(static_cast<uint16_t>(~naive_sum(ip))));
  return ip;
}

Bytes build_ipv6(const Packet& p, const Bytes& upper) {
  Bytes ip;
  put32(ip, 0x60000000u | uint32_t{p.tos} << 20 | p.flow_label);
  if (p.version_ihl) ip[0] = *p.version_ihl;
  put16(ip, p.total_length.value_or(static_cast<uint16_t>(upper.size())));
  put8(ip, p.protocol);
  put8(ip, p.ttl);
  put(ip, ip_bytes(p.src));
  put(ip, ip_bytes(p.dst));
  return ip;
}

}  // namespace

uint16_t naive_sum(const Bytes& bytes, uint32_t start) {
  uint32_t sum = start;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<uint32_t>(bytes[i] << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0));
    sum = (sum & 0xffff) + (sum >> 16);
  }
  return static_cast<uint16_t>(sum);
}

Bytes ip_bytes(const std::string& text) {
  Bytes bytes(text.find(':') == std::string::npos ? 4 : 16);
  if (inet_pton(bytes.size() == 4 ? AF_INET : AF_INET6, text.c_str(), bytes.data()) != 1)
    std::abort();
  return bytes;
}

Bytes build_lcp(const Lcp& l) {
  Bytes out;
  put16(out, l.magic);
  put8(out, l.version);
  put8(out, l.type);
  put8(out, l.flags);
  put8(out, l.intent);
  put8(out, l.severity);
  put8(out, l.attempt);
  put32(out, l.org);
  put32(out, l.operator_id);
  put64(out, l.org);
  put64(out, l.id);
  put64(out, 0);
  put64(out, l.trace);
  put64(out, l.deadline_us);
  put32(out, l.target);
  put16(out, l.payload_length.value_or(static_cast<uint16_t>(l.payload.size())));
  put16(out, l.key_id);
  put(out, l.tag.value_or(Bytes(lcp::kTagSize)));
  put(out, l.payload);
  if (l.key) lcp::Signer(*l.key).sign(out);
  return out;
}

Bytes build(const Packet& p) {
  Bytes frame;
  put(frame, p.dst_mac);
  put(frame, p.src_mac);
  if (p.vlan) {
    put16(frame, p.vlan_type.value_or(0x8100));
    put16(frame, *p.vlan);
  }
  if (p.inner_vlan) {
    put16(frame, 0x8100);
    put16(frame, *p.inner_vlan);
  }
  put16(frame, p.ether_type.value_or(p.l3 ? 0x0806 : is_v6(p) ? 0x86dd : 0x0800));
  if (p.l3) {
    put(frame, *p.l3);
  } else {
    const Bytes upper = build_upper(p);
    put(frame, is_v6(p) ? build_ipv6(p, upper) : build_ipv4(p, upper));
    put(frame, upper);
  }
  frame.resize(frame.size() + p.padding, 0xa5);
  if (p.cut) frame.resize(std::min(*p.cut, frame.size()));
  return frame;
}

Bytes reply_body(lcp::Status status, uint8_t reason, uint16_t flags, uint32_t quota_remaining,
                 uint32_t reset_seconds, uint32_t throttle_ms) {
  Bytes body{static_cast<uint8_t>(status), reason};
  put16(body, flags);
  put32(body, quota_remaining);
  put32(body, reset_seconds);
  put32(body, throttle_ms);
  return body;
}

Bytes report_body(uint32_t node_id, uint32_t successes, uint32_t failures) {
  Bytes body;
  put32(body, node_id);
  put32(body, 1000);  // latency_us
  put32(body, 1);     // queue_depth
  put16(body, 100);   // saturation
  put16(body, 0);
  put32(body, successes);
  put32(body, failures);
  return body;
}

Bytes arp(uint16_t operation, const Mac& sender_mac, const std::string& sender_ip,
          const Mac& target_mac, const std::string& target_ip) {
  Bytes out;
  put16(out, 1);
  put16(out, 0x0800);
  put8(out, 6);
  put8(out, 4);
  put16(out, operation);
  put(out, sender_mac);
  put(out, ip_bytes(sender_ip));
  put(out, target_mac);
  put(out, ip_bytes(target_ip));
  return out;
}

Bytes icmp(uint8_t type, uint8_t code, uint32_t rest, const Bytes& data) {
  Bytes out{type, code, 0, 0};
  put32(out, rest);
  put(out, data);
  return out;
}

Bytes neighbour_message(uint8_t type, uint32_t flags, const std::string& target,
                        const Bytes& options) {
  Bytes out = icmp(type, 0, flags);
  put(out, ip_bytes(target));
  put(out, options);
  return out;
}

Bytes link_layer_option(uint8_t type, const Mac& mac) {
  Bytes out{type, 1};
  put(out, mac);
  return out;
}

std::string check_frame(const Bytes& f) {
  if (f.size() < 14) return "shorter than an Ethernet header";
  size_t l3 = 14;
  uint16_t type = get16(f, 12);
  if (type == 0x8100) {
    l3 = 18;
    type = get16(f, 16);
  }
  size_t l4 = 0;
  uint8_t protocol = 0;
  Bytes pseudo;
  if (type == 0x0800) {
    if (f.size() < l3 + 20 || f[l3] != 0x45) return "IPv4 header";
    if (naive_sum(slice(f, l3, l3 + 20)) != 0xffff) return "IPv4 checksum";
    if (get16(f, l3 + 2) != f.size() - l3) return "IPv4 total length";
    l4 = l3 + 20;
    protocol = f[l3 + 9];
    pseudo = slice(f, l3 + 12, l3 + 20);
  } else if (type == 0x86dd) {
    if (f.size() < l3 + 40) return "IPv6 header";
    if (get16(f, l3 + 4) + l3 + 40 != f.size()) return "IPv6 payload length";
    l4 = l3 + 40;
    protocol = f[l3 + 6];
    pseudo = slice(f, l3 + 8, l3 + 40);
  } else {
    return {};
  }
  const Bytes upper = slice(f, l4, f.size());
  put16(pseudo, protocol);
  put32(pseudo, static_cast<uint32_t>(upper.size()));
  const uint16_t pseudo_sum = naive_sum(pseudo);
  if (protocol == 17) {
    if (upper.size() < 8 || get16(upper, 4) != upper.size()) return "UDP length";
    if (get16(upper, 6) == 0) return type == 0x0800 ? "" : "UDP checksum missing";
    if (naive_sum(upper, pseudo_sum) != 0xffff) return "UDP checksum";
  } else if (protocol == 6) {
    if (upper.size() < 20) return "TCP header";
    if (naive_sum(upper, pseudo_sum) != 0xffff) return "TCP checksum";
  } else if (protocol == 58) {
    if (naive_sum(upper, pseudo_sum) != 0xffff) return "ICMPv6 checksum";
  } else if (protocol == 1) {
    if (naive_sum(upper) != 0xffff) return "ICMP checksum";
  }
  return {};
}

std::string hex_diff(const Bytes& got, const Bytes& want) {
  auto line = [](const Bytes& b, size_t at) {
    std::string text;
    for (size_t i = at; i < std::min(at + 16, b.size()); ++i) {
      char hex[4];
      std::snprintf(hex, sizeof(hex), "%02x ", b[i]);
      text += hex;
    }
    return text;
  };
  std::string text =
      "sizes: got " + std::to_string(got.size()) + ", want " + std::to_string(want.size()) + "\n";
  for (size_t at = 0; at < std::max(got.size(), want.size()); at += 16) {
    const std::string a = line(got, at), b = line(want, at);
    if (a == b) continue;
    text += std::to_string(at) + ": got  " + a + "\n" + std::to_string(at) + ": want " + b + "\n";
  }
  return text;
}

}  // namespace lf::test
