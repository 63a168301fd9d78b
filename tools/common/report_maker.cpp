// SPDX-License-Identifier: Apache-2.0
#include "tools/common/report_maker.hpp"

#include <cstring>

namespace lf::tools {
namespace {

constexpr uint64_t kReportLifeUs = 10'000'000;

}  // namespace

ReportMaker::ReportMaker(const KeySpec& owner, uint64_t random)
    : org_(owner.org), key_id_(owner.id), signer_(owner.bytes), random_(random) {}

ReportDatagram ReportMaker::make(const lcp::Report& report, UnixUs now) {
  lcp::Fields f{.org_id = org_, .key_id = key_id_};
  f.deadline_us = static_cast<uint64_t>(now) + kReportLifeUs;
  const uint64_t number[2] = {random_, ++number_};
  std::memcpy(f.command_id.data(), number, sizeof(number));
  f.trace_id = f.command_id;
  ReportDatagram datagram;
  lcp::encode_report(datagram, f, report);
  signer_.sign(datagram);
  return datagram;
}

}  // namespace lf::tools
