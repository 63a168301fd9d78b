// SPDX-License-Identifier: Apache-2.0
#include "control/notify/succession.hpp"

#include <algorithm>
#include <set>
#include <string_view>
#include <tuple>

#include "control/notify/sinks.hpp"

namespace lf::notify {
namespace {

std::string_view kind_of(std::string_view key) {
  return key.substr(0, key.find(' '));
}

bool serves(const config::Sink& sink, const Message& message) {
  if (sink.recipient != message.recipient) return false;
  if (sink.channels.empty()) return true;
  return std::find_first_of(sink.channels.begin(), sink.channels.end(), message.channels.begin(),
                            message.channels.end()) != sink.channels.end();
}

}  // namespace

const config::Sink* heir_of(const Message& message, const std::vector<config::Sink>& added) {
  const config::Sink* heir = nullptr;
  for (const config::Sink& sink : added) {
    if (!serves(sink, message)) continue;
    if (sink.kind == kind_of(message.sink)) return &sink;
    if (heir == nullptr) heir = &sink;
  }
  return heir;
}

Result<std::vector<Gone>> follow_sinks(Outbox& outbox, const std::vector<config::Sink>& sinks,
                                       UnixUs now_us) {
  const auto known = outbox.sinks();
  if (!known) return tl::unexpected(known.error());
  const auto waited_for = outbox.waited_for();
  if (!waited_for) return tl::unexpected(waited_for.error());
  std::vector<std::string> keys;
  std::vector<config::Sink> added;
  for (const config::Sink& sink : sinks) {
    keys.push_back(sink_key(sink));
    if (!known->contains(keys.back())) added.push_back(sink);
  }
  std::vector<Gone> all;
  std::vector<Outbox::Move> moves;
  std::set<std::tuple<std::string, UnixUs, std::string>> moved;  // heir, and which event
  for (const std::string& key : *waited_for) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end()) continue;
    const auto messages = outbox.waiting(key);
    if (!messages) return tl::unexpected(messages.error());
    Gone gone{.sink = key};
    for (const Message& m : *messages) {
      const config::Sink* heir = heir_of(m, added);
      const std::string to = heir == nullptr ? "" : sink_key(*heir);
      const bool first = heir && moved.emplace(to, m.created_us, m.event.text).second;
      ++(heir == nullptr ? gone.dropped : first ? gone.moved : gone.doubled);
      moves.push_back({m.id, first ? to : ""});
    }
    all.push_back(gone);
  }
  if (auto r = outbox.change_sinks(keys, moves, now_us); !r) return tl::unexpected(r.error());
  return all;
}

}  // namespace lf::notify
