// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/steering.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "control/base/address.hpp"
#include "control/config/values.hpp"
#include "control/xdp/host_addresses.hpp"
#include "dataplane/net/address.hpp"

namespace lf::xdp {
namespace {

using rpc::Json;

constexpr struct {
  uint32_t place;
  const char *name, *help;
} kCounts[] = {
    {LF_XDP_STEERED, "steered", "Packets that XDP sent to our sockets."},
    {LF_XDP_PASSED, "passed", "Packets that XDP left to the kernel."},
    {LF_XDP_DENIED, "denied", "Packets that XDP dropped: source on the deny list."},
    {LF_XDP_NO_SOCKET, "no_socket",
     "Packets of ours that came on a queue without a socket and went to the kernel."},
    {LF_XDP_COPIED, "copied", "Neighbours' answers that the kernel and we were given."},
    {LF_XDP_COPY_LOST, "copy_lost", "Neighbours' answers of which no copy could be made for us."},
};

Result<config::Prefix> prefix_in(const Json& params) {
  const auto& text = params.at("prefix").get_ref<const std::string&>();
  if (const auto prefix = config::parse_prefix(text)) return *prefix;
  const auto address = parse_address(text);
  if (!address)
    return fail(ErrorCode::invalid, "prefix: \"{}\" is neither a prefix nor an address", text);
  const uint8_t length = address->ip_version == 4 ? 32 : 128;
  return config::Prefix{address->address, length, address->ip_version};
}

void log_shared(const parse::Table& table, const std::vector<HostAddress>& host) {
  for (const HostAddress& h : host)
    if (parse::find_own(table, h.address) != nullptr)
      spdlog::info("{} is the kernel's, too ({}): only commands and flows to it are ours",
                   format_address(h.address), h.interface);
}

}  // namespace

Result<std::unique_ptr<Steering>> Steering::start(const config::Config& config,
                                                  const std::vector<ports::PortInfo>& ports,
                                                  std::shared_ptr<const parse::Table> table,
                                                  EventLoop& loop, Heard heard) {
  auto steering = std::unique_ptr<Steering>(new Steering(loop));
  for (size_t p = 0; p < ports.size(); ++p) {
    const ports::PortInfo& info = ports[p];
    if (info.xdp_interface.empty()) continue;
    auto program = Program::replace_seats(info.xdp_interface);
    if (!program)
      return fail(program.error().code, "port {}: {}", info.name, program.error().message);
    Program* const raw = program->get();
    steering->steered_.push_back({{.id = info.id,
                                   .interface = info.xdp_interface,
                                   .vlan = config.ports[p].vlan,
                                   .has_exception = info.exception_id != kNoPort},
                                  info.name,
                                  std::move(*program)});
    spdlog::info("port {}: XDP program {} on {} ({})", info.name, raw->id(), info.xdp_interface,
                 raw->native() ? "in the driver" : "generic");
    if (auto watched = loop.watch(raw->heard_fd(), EPOLLIN,
                                  [raw, heard, id = info.id](uint32_t) {
                                    raw->hear([&](std::span<const uint8_t> f) { heard(id, f); });
                                  });
        !watched)
      return tl::unexpected(watched.error());
  }
  if (auto room = steering->check(config, *table); !room) return tl::unexpected(room.error());
  steering->host_ = host_addresses();
  steering->configure(config, std::move(table));
  return steering;
}

Steering::~Steering() {
  for (const Steered& s : steered_) loop_.unwatch(s.program->heard_fd());
}

Result<void> Steering::check(const config::Config& config, const parse::Table& table) const {
  if (steered_.empty()) return {};
  if (auto room = check_room(table); !room) return room;
  DenyList trial = denials_;
  if (auto change = trial.configure(config.xdp.deny); !change)
    return tl::unexpected(change.error());
  return {};
}

void Steering::configure(const config::Config& config, std::shared_ptr<const parse::Table> table) {
  if (steered_.empty()) return;
  table_ = std::move(table);
  for (Steered& s : steered_)
    for (const config::Port& port : config.ports)
      if (port.name == s.name) s.port.vlan = port.vlan;
  log_shared(*table_, host_);
  if (auto filled = fill(); !filled) spdlog::error("{}", filled.error().message);
  auto change = denials_.configure(config.xdp.deny);
  const auto applied = change ? apply(*change) : tl::unexpected(change.error());
  if (!applied) spdlog::error("{}", applied.error().message);
  PushPrefixes pushable = find_pushable(config);
  pusher_.configure(config.xdp.push, std::move(pushable.owners));
  if (!pusher_.is_on()) return;
  for (const std::string& why : pushable.left_out) spdlog::warn("xdp.push never denies {}", why);
}

void Steering::tick_second(MonoNs now, const Pusher::StandingOf& standing_of) {
  if (steered_.empty()) return;
  follow_host();
  push(now, standing_of);
}

void Steering::push(MonoNs now, const Pusher::StandingOf& standing_of) {
  pusher_.tick(now, standing_of);
  const std::vector<Pushed> before = std::exchange(pushed_, pusher_.pushed(now));
  pushed_at_ = now;
  if (before.empty() && pushed_.empty()) return;
  std::vector<config::Prefix> prefixes;
  for (const Pushed& p : pushed_) prefixes.push_back(p.prefix);
  const auto change = denials_.push(prefixes);
  const auto applied = change ? apply(*change) : tl::unexpected(change.error());
  if (!applied) return spdlog::error("{}", applied.error().message);
  for (const Denial& d : change->denied)
    for (const Pushed& p : pushed_)
      if (p.prefix == d.prefix)
        spdlog::warn("{} is denied in the driver for {} s: {} of {}",
                     config::format_prefix(p.prefix), p.left_s, name(p.reason), p.organisation);
  for (const Denial& d : change->allowed)
    spdlog::info("{} is no longer denied in the driver", config::format_prefix(d.prefix));
}

void Steering::follow_host() {
  auto host = host_addresses();
  if (host == host_) return;
  host_ = std::move(host);
  log_shared(*table_, host_);
  if (auto filled = fill(); !filled) spdlog::error("{}", filled.error().message);
}

Result<void> Steering::fill() {
  for (Steered& s : steered_)
    if (auto filled = s.program->fill(build_contents(*table_, s.port, host_)); !filled)
      return filled;
  return {};
}

Result<void> Steering::apply(const DenyChange& change) {
  for (Steered& s : steered_)
    if (auto applied = s.program->apply(change); !applied) return applied;
  return {};
}

Result<Json> Steering::change(const Json& params,
                              Result<DenyChange> (DenyList::*step)(const config::Prefix&)) {
  if (steered_.empty())
    return fail(ErrorCode::conflict, "no port is steered by XDP (docs/af_xdp.md)");
  const auto prefix = prefix_in(params);
  if (!prefix) return tl::unexpected(prefix.error());
  const auto change = (denials_.*step)(*prefix);
  if (!change) return tl::unexpected(change.error());
  if (auto applied = apply(*change); !applied) return tl::unexpected(applied.error());
  return Json{{"prefix", config::format_prefix(network_of(*prefix))},
              {"listed", denials_.list().size()}};
}

Result<Json> Steering::allow(const Json& params) {
  auto changed = change(params, &DenyList::allow);
  if (changed) pusher_.take_back(network_of(*prefix_in(params)), pushed_at_);
  return changed;
}

Json Steering::list() const {
  Json ports = Json::array(), deny = Json::array();
  for (const Steered& s : steered_) {
    const auto counts = s.program->counts();
    Json row{{"port", s.name},
             {"interface", s.port.interface},
             {"program", s.program->id()},
             {"mode", s.program->native() ? "native" : "generic"}};
    for (const auto& c : kCounts) row[c.name] = counts[c.place];
    ports.push_back(std::move(row));
  }
  for (const Denial& d : denials_.list()) {
    uint64_t packets = 0, bytes = 0;
    for (const Steered& s : steered_) {
      const lf_xdp_denied n = s.program->denied(d.place);
      packets += n.packets;
      bytes += n.bytes;
    }
    Json row{{"prefix", config::format_prefix(d.prefix)},
             {"configured", d.configured},
             {"added", d.added},
             {"pushed", d.pushed},
             {"packets", packets},
             {"bytes", bytes}};
    for (const Pushed& p : pushed_) {
      if (!d.pushed || !(p.prefix == d.prefix)) continue;
      row["reason"] = fmt::format("{} of {}", name(p.reason), p.organisation);
      row["left_s"] = p.left_s;
    }
    deny.push_back(std::move(row));
  }
  return {{"ports", std::move(ports)}, {"deny", std::move(deny)}};
}

std::vector<rpc::Command> Steering::commands() {
  const rpc::Parameter prefix{"prefix", "string", true, "source prefix, or one address"};
  return {{.name = "xdp.list",
           .help = "What XDP steers, passes and drops on each af_xdp port; denied prefixes",
           .parameters = {},
           .mutates = false,
           .handler = [this](const Json&) -> Result<Json> { return list(); }},
          {.name = "xdp.deny",
           .help = "Drops packets from a prefix to our addresses in the driver, until taken back",
           .parameters = {prefix},
           .mutates = true,
           .handler = [this](const Json& p) { return change(p, &DenyList::deny); }},
          {.name = "xdp.allow",
           .help = "Takes a prefix off the deny list; the configuration's return with a reload",
           .parameters = {prefix},
           .mutates = true,
           .handler = [this](const Json& p) { return allow(p); }}};
}

// What is denied has a verdict, though no worker gives it: the books are of the whole data plane.
void Steering::add_to(metrics::StatsView& view) const {
  if (steered_.empty()) return;
  std::array<uint64_t, LF_XDP_COUNTS> sums{};
  for (const Steered& s : steered_) {
    const auto counts = s.program->counts();
    for (size_t i = 0; i < sums.size(); ++i) sums[i] += counts[i];
  }
  metrics::Group group{.name = "xdp", .values = {}};
  for (const auto& c : kCounts)
    group.values.push_back({c.name, c.help, static_cast<double>(sums[c.place]), true});
  view.groups.push_back(std::move(group));
  view.received += sums[LF_XDP_DENIED];
  view.verdicts[static_cast<uint8_t>(Verdict::xdp_denied)] += sums[LF_XDP_DENIED];
}

}  // namespace lf::xdp
