// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_send/single.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <optional>

#include "control/base/clock.hpp"
#include "tools/common/histogram.hpp"
#include "tools/common/text.hpp"
#include "tools/lf_send/command_source.hpp"

namespace lf::send {
namespace {

// Sends one datagram to the first target and waits for what answers its command_id.
class Exchange {
 public:
  Exchange(const Options& options, uint64_t run) : options_(options), source_(options, run, 0) {}

  Result<void> open() {
    const auto local = options_.bind.value_or(tools::any_endpoint(target().family()));
    auto socket = tools::UdpSocket::bind(local);
    if (!socket) return tl::unexpected(socket.error());
    socket_.emplace(std::move(*socket));
    return {};
  }

  struct Answer {
    lcp::Message message;
    int64_t us = 0;
  };
  std::optional<Answer> ask(lcp::Fields fields) {
    fields.deadline_us = static_cast<uint64_t>(clock_.unix_us()) + options_.deadline_ms * 1000;
    fields.key_id = source_.key_id_of(fields.org_id);
    auto out = queue_.add(target(), sizeof(lcp::Header));
    lcp::encode(out, fields);
    source_.sign(out, fields.org_id);
    const int64_t start = clock_.mono_ns();
    if (queue_.flush(*socket_) > 0) return std::nullopt;
    const int64_t end = start + int64_t{options_.timeout_ms} * 1'000'000;
    for (int64_t now = start; now < end; now = clock_.mono_ns()) {
      pollfd fd{socket_->fd(), POLLIN, 0};
      ::poll(&fd, 1, static_cast<int>((end - now) / 1'000'000 + 1));
      const uint32_t n = receiver_.receive(*socket_);
      for (uint32_t i = 0; i < n; ++i) {
        Answer a;
        if (lcp::decode(receiver_.datagram(i), a.message) == Verdict::none &&
            a.message.fields.command_id == fields.command_id &&
            source_.plausible(receiver_.datagram(i), a.message)) {
          a.us = (clock_.mono_ns() - start) / 1000;
          return a;
        }
      }
    }
    return std::nullopt;
  }

  const tools::Endpoint& target() const { return options_.targets.front(); }
  lcp::Id id_of(uint64_t number) const { return source_.id_of(number); }

 private:
  const Options& options_;
  CommandSource source_;
  SystemClock clock_;
  std::optional<tools::UdpSocket> socket_;
  tools::SendQueue queue_;
  tools::Receiver receiver_;
};

bool write_json(const std::string& path, const nlohmann::ordered_json& j) {
  if (path.empty()) return true;
  if (path == "-") {
    fmt::print("{}\n", j.dump(1));
    return true;
  }
  std::FILE* f = std::fopen(path.c_str(), "w");
  if (!f) {
    fmt::print(stderr, "lf-send: {}: {}\n", path, std::strerror(errno));
    return false;
  }
  fmt::print(f, "{}\n", j.dump(1));
  return std::fclose(f) == 0;
}

}  // namespace

int run_approve(const Options& options, uint64_t run) {
  Exchange exchange(options, run);
  if (auto opened = exchange.open(); !opened) {
    fmt::print(stderr, "lf-send: {}\n", opened.error().message);
    return 1;
  }
  uint64_t sent = 0, refused = 0;
  for (const lcp::Id& id : options.ids) {
    for (const uint32_t by : options.operators) {
      lcp::Fields f{.type = lcp::Type::approval, .flags = lcp::kFlagWantsReply};
      f.org_id = options.orgs.front();
      f.operator_id = by;
      f.command_id = id;
      const auto answer = exchange.ask(f);
      ++sent;
      const bool is_reply = answer && answer->message.fields.type == lcp::Type::reply;
      refused += is_reply;
      if (is_reply && options.json != "-")
        fmt::print("{} by {}: {} (reason {})\n", tools::to_hex(id), by,
                   lcp::name_of(answer->message.reply.status), answer->message.reply.reason);
    }
  }
  const bool written = write_json(options.json, {{"sent", sent}, {"refused", refused}});
  return written && refused == 0 ? 0 : 1;
}

int run_probe(const Options& options, uint64_t run) {
  Exchange exchange(options, run);
  if (auto opened = exchange.open(); !opened) {
    fmt::print(stderr, "lf-send: {}\n", opened.error().message);
    return 1;
  }
  uint64_t answered = 0;
  tools::Histogram latency;
  for (uint64_t i = 0; i < options.count; ++i) {
    lcp::Fields f{.type = lcp::Type::probe};
    f.org_id = options.orgs.front();
    f.command_id = exchange.id_of(i);
    const auto answer = exchange.ask(f);
    if (!answer || answer->message.fields.type != lcp::Type::probe_reply) continue;
    ++answered;
    latency.add(static_cast<uint64_t>(answer->us));
    if (options.json != "-")
      fmt::print("answer from {} in {} us\n", tools::to_string(exchange.target()), answer->us);
  }
  const bool written = write_json(options.json, {{"sent", options.count},
                                                 {"answered", answered},
                                                 {"latency_us", {{"p50", latency.quantile(0.5)}}}});
  return written && answered == options.count ? 0 : 1;
}

}  // namespace lf::send
