// SPDX-License-Identifier: Apache-2.0
#include "control/intake/job.hpp"

#include "dataplane/lcp/codec.hpp"

namespace lf::intake {
namespace {

constexpr size_t kErrorsInSummary = 100;

std::string status_name(uint8_t status) {
  if (status == kNoAnswer) return "none";
  if (status == kUnsendable) return "unsendable";
  return std::string(lcp::name_of(static_cast<lcp::Status>(status)));
}

}  // namespace

rpc::Json result_of(const Job& job, const Batch& batch, const Urgency& urgency) {
  rpc::Json result = {{"job", job.number},
                      {"dry_run", job.dry_run},
                      {"rows", batch.rows()},
                      {"accepted_count", batch.size()},
                      {"duplicates", batch.duplicates()},
                      {"error_count", batch.faults().size()},
                      {"urgent", urgency.urgent},
                      {"normal", urgency.normal},
                      {"elapsed_ms", static_cast<double>(job.sorted_us) / 1000.0}};
  rpc::Json errors = rpc::Json::array();
  for (const Fault& fault : batch.faults()) {
    for (std::string& text : texts_of(fault)) errors.push_back(std::move(text));
    if (job.summary && errors.size() >= kErrorsInSummary) break;
  }
  result["errors"] = std::move(errors);
  if (job.summary) return result;
  rpc::Json accepted = rpc::Json::array();
  for (size_t k = 0; k < batch.size(); ++k) accepted.push_back(std::string(batch[k].command_id));
  result["accepted"] = std::move(accepted);
  return result;
}

rpc::Json with_answers(const Job& job) {
  rpc::Json result = job.result;
  rpc::Json by_status = rpc::Json::object();
  for (const uint8_t status : job.answers) {
    rpc::Json& count = by_status[status_name(status)];
    count = count.is_null() ? 1 : count.get<uint64_t>() + 1;
  }
  result["by_status"] = std::move(by_status);
  if (job.summary) return result;
  rpc::Json answers = rpc::Json::array();
  for (size_t k = 0; k < job.answers.size(); ++k)
    answers.push_back({{"command_id", job.ids[k]}, {"status", status_name(job.answers[k])}});
  result["answers"] = std::move(answers);
  return result;
}

rpc::Json progress_of(const Job& job) {
  const bool sorted = job.sorted.load(std::memory_order_acquire);
  rpc::Json line = {{"job", job.number},
                    {"from", job.path.empty() ? "commands" : job.path},
                    {"bytes_done", job.progress.bytes_done.load(std::memory_order_relaxed)},
                    {"bytes_total", job.progress.bytes_total.load(std::memory_order_relaxed)},
                    {"sorted", sorted},
                    {"sent", job.sent.load(std::memory_order_relaxed)},
                    {"unsendable", job.unsendable.load(std::memory_order_relaxed)},
                    {"answered", job.answered},
                    {"finished", job.finished}};
  line["accepted"] = sorted ? job.accepted : 0;
  return line;
}

}  // namespace lf::intake
