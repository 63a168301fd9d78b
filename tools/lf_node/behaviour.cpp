// SPDX-License-Identifier: Apache-2.0
#include "tools/lf_node/behaviour.hpp"

#include <algorithm>

#include "tools/common/text.hpp"

namespace lf::node {
namespace {

struct Setting {
  std::string_view name;
  double Behaviour::*member;
  double min, max;
};

constexpr Setting kSettings[] = {
    {"capacity", &Behaviour::capacity, 0, 1e9},
    {"queue", &Behaviour::queue, 0, 1e9},
    {"service_ms", &Behaviour::service_ms, 0, 600'000},
    {"jitter", &Behaviour::jitter, 0, 100},
    {"fail", &Behaviour::fail, 0, 100},
    {"busy", &Behaviour::busy, 0, 100},
    {"silent", &Behaviour::silent, 0, 100},
    {"saturation", &Behaviour::saturation, -1, 1},
    {"degraded", &Behaviour::degraded, 0, 1},
    {"draining", &Behaviour::draining, 0, 1},
    {"report", &Behaviour::report, 0, 1},
    {"probes", &Behaviour::probes, 0, 1},
    {"tag_replies", &Behaviour::tag_replies, 0, 1},
};

Result<double> parse_value(std::string_view text) {
  if (!text.starts_with('-')) return tools::parse_decimal(text);
  const auto positive = tools::parse_decimal(text.substr(1));
  if (!positive) return positive;
  return -*positive;
}

}  // namespace

Result<void> Behaviour::set(std::string_view name, std::string_view value) {
  const auto* setting = std::find_if(std::begin(kSettings), std::end(kSettings),
                                     [&](const Setting& s) { return s.name == name; });
  if (setting == std::end(kSettings))
    return lf::fail(ErrorCode::not_found, "no setting '{}'", name);
  const auto number = parse_value(value);
  if (!number) return tl::unexpected(number.error());
  if (*number < setting->min || *number > setting->max)
    return lf::fail(ErrorCode::invalid, "{} is {}..{}, not {}", name, setting->min, setting->max,
                    value);
  this->*setting->member = *number;
  return {};
}

Result<void> Behaviour::set_all(std::string_view text) {
  Behaviour changed = *this;
  const auto words = tools::split(text, ' ');
  if (words.empty()) return lf::fail(ErrorCode::invalid, "nothing to set");
  for (size_t i = 0; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    std::string_view name = words[i].substr(0, equals), value;
    if (equals != std::string_view::npos)
      value = words[i].substr(equals + 1);
    else if (++i < words.size())
      value = words[i];
    if (auto done = changed.set(name, value); !done) return done;
  }
  *this = changed;
  return {};
}

Result<std::vector<Change>> parse_script(std::string_view text) {
  std::vector<Change> script;
  for (const std::string_view piece : tools::split(text, ';')) {
    const size_t space = piece.find(' ');
    const auto at = tools::parse_duration_ns(piece.substr(0, space));
    if (!at) return tl::unexpected(at.error());
    Change change{*at, std::string(space == piece.npos ? std::string_view() : piece.substr(space))};
    Behaviour trial;
    if (auto valid = trial.set_all(change.settings); !valid)
      return lf::fail(ErrorCode::invalid, "'{}': {}", piece, valid.error().message);
    script.push_back(std::move(change));
  }
  std::stable_sort(script.begin(), script.end(),
                   [](const Change& a, const Change& b) { return a.at_ns < b.at_ns; });
  return script;
}

Decision Server::decide(const Behaviour& b, const Chance& chance, int64_t now) {
  if (chance.silent * 100 < b.silent) return {.silent = true};
  if (chance.busy * 100 < b.busy) return {.status = lcp::Status::busy, .at_ns = now};
  int64_t done = now;
  if (b.capacity > 0) {
    const int64_t backlog = std::max<int64_t>(free_ns_ - now, 0);
    if (static_cast<double>(backlog) * b.capacity / 1e9 > b.queue)
      return {.status = lcp::Status::busy, .at_ns = now};
    free_ns_ = now + backlog + static_cast<int64_t>(1e9 / b.capacity);
    done = free_ns_;
  }
  const double share = 1 + (chance.jitter * 2 - 1) * b.jitter / 100;
  done += static_cast<int64_t>(b.service_ms * 1e6 * share);
  return {.status = chance.fail * 100 < b.fail ? lcp::Status::failed : lcp::Status::ok,
          .at_ns = done};
}

}  // namespace lf::node
