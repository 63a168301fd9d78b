// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/command_source.hpp"

#include <cstring>

namespace lf::send {
namespace {

constexpr uint16_t kKeyOfNobody = 0xfffe;
constexpr uint32_t kOrgOfNobody = 0xfffffffe;
enum Purpose : uint32_t { kFault, kDuplicate, kOrg, kOperator, kIntent, kSeverity, kTarget };

// 0..99.9999
double percent_of(uint64_t random) {
  return static_cast<double>(random >> 40) / (1 << 24) * 100;
}

// Spoils what the codec would not let through.
void spoil(Fault fault, std::span<uint8_t> d) {
  switch (fault) {
    case Fault::tag:
      d[offsetof(lcp::Header, tag) + 5] ^= 0x10;
      break;
    case Fault::payload:
      d[d.size() > sizeof(lcp::Header) ? d.size() - 1 : offsetof(lcp::Header, trace_id)] ^= 0x01;
      break;
    case Fault::magic:
      d[offsetof(lcp::Header, magic)] ^= 0xff;
      break;
    case Fault::version:
      d[offsetof(lcp::Header, version)] = 2;
      break;
    case Fault::type:
      d[offsetof(lcp::Header, type)] = 77;
      break;
    case Fault::flags:
      d[offsetof(lcp::Header, flags)] |= 0x80;
      break;
    case Fault::length:
      ++d[offsetof(lcp::Header, payload_length) + 1];
      break;
    default:
      break;
  }
}

}  // namespace

CommandSource::CommandSource(const Options& options, uint64_t run, uint16_t thread)
    : options_(options), run_(run), thread_(thread) {
  if (options.key) signer_for_all_.emplace(*options.key);
  for (const tools::KeySpec& spec : options.keys) keys_.add(spec);
}

lcp::Id CommandSource::id_of(uint64_t number) const {
  lcp::Id id;
  const uint64_t high = lcp::be64(run_), low = lcp::be64(uint64_t{thread_} << 48 | number);
  std::memcpy(id.data(), &high, 8);
  std::memcpy(id.data() + 8, &low, 8);
  return id;
}

uint64_t CommandSource::number_of(const lcp::Id& id) const {
  uint64_t high, low;
  std::memcpy(&high, id.data(), 8);
  std::memcpy(&low, id.data() + 8, 8);
  low = lcp::be64(low);
  if (lcp::be64(high) != run_ || low >> 48 != thread_) return kNotOurs;
  return low & 0xffffffffffff;
}

uint64_t CommandSource::random_of(uint64_t number, uint32_t purpose) const {
  uint64_t x =
      options_.seed * 0x9e3779b97f4a7c15 + number * 8 + purpose + (uint64_t{thread_} << 56);
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return x ^ x >> 31;
}

Fault CommandSource::fault_of(uint64_t number) const {
  if (options_.faults.empty()) return Fault::none;
  double percent = percent_of(random_of(number, kFault));
  for (const FaultShare& share : options_.faults) {
    if (percent < share.percent) return share.fault;
    percent -= share.percent;
  }
  return Fault::none;
}

bool CommandSource::is_duplicated(uint64_t number) const {
  return options_.duplicates > 0 && percent_of(random_of(number, kDuplicate)) < options_.duplicates;
}

lcp::Fields CommandSource::fields_of(uint64_t number) const {
  uint64_t round = number;
  const auto pick = [&](const std::vector<uint32_t>& list, Purpose purpose) {
    if (options_.random) return list[random_of(number, purpose) % list.size()];
    const uint32_t value = list[round % list.size()];
    round /= list.size();
    return value;
  };
  lcp::Fields f;
  f.org_id = pick(options_.orgs, kOrg);
  f.intent = static_cast<uint8_t>(pick(options_.intents, kIntent));
  f.severity = static_cast<uint8_t>(pick(options_.severities, kSeverity));
  f.operator_id = pick(options_.operators, kOperator);
  f.target_id = pick(options_.target_ids, kTarget);
  f.flags = options_.want_reply ? lcp::kFlagWantsReply : uint8_t{0};
  f.command_id = f.trace_id = id_of(number);
  f.key_id = key_id_of(f.org_id);
  return f;
}

uint32_t CommandSource::size_of(uint64_t number) const {
  if (fault_of(number) == Fault::truncated) return sizeof(lcp::Header) - 1;
  return static_cast<uint32_t>(sizeof(lcp::Header) + options_.payload.size());
}

void CommandSource::write(uint64_t number, uint8_t attempt, uint64_t deadline_us,
                          std::span<uint8_t> out) const {
  lcp::Fields f = fields_of(number);
  f.attempt = attempt;
  f.deadline_us = deadline_us;
  const Fault fault = fault_of(number);
  const uint32_t signer_org = f.org_id;
  if (fault == Fault::key) f.key_id = kKeyOfNobody;
  if (fault == Fault::org) f.org_id = kOrgOfNobody;
  if (fault == Fault::severity) f.severity = 9;
  if (fault == Fault::deadline) f.deadline_us = 1;
  if (fault == Fault::truncated) {
    uint8_t whole[sizeof(lcp::Header)];
    lcp::encode(whole, f);
    std::memcpy(out.data(), whole, out.size());
    return;
  }
  lcp::encode(out, f, options_.payload);
  if (fault != Fault::untagged) sign(out, signer_org);
  spoil(fault, out);
}

const lcp::Signer* CommandSource::signer_of(uint32_t org, uint16_t key_id) const {
  if (const lcp::Signer* own = keys_.find(org, key_id)) return own;
  return signer_for_all_ && key_id == options_.key_id ? &*signer_for_all_ : nullptr;
}

uint16_t CommandSource::key_id_of(uint32_t org) const {
  return keys_.current(org).value_or(options_.key ? options_.key_id : uint16_t{0});
}

void CommandSource::sign(std::span<uint8_t> datagram, uint32_t org) const {
  if (const lcp::Signer* signer = signer_of(org, key_id_of(org))) signer->sign(datagram);
}

bool CommandSource::plausible(std::span<const uint8_t> datagram,
                              const lcp::Message& message) const {
  if (!(message.fields.flags & lcp::kFlagTagged)) return true;
  const lcp::Signer* signer = signer_of(message.fields.org_id, message.fields.key_id);
  return !signer || signer->verify(datagram);
}

}  // namespace lf::send
