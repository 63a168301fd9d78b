// SPDX-License-Identifier: Apache-2.0
#include "control/xdp/program.hpp"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

#include "control/xdp/seats.hpp"
#include "dataplane/net/address.hpp"

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#include "dataplane/xdp/steer.skel.h"
#pragma GCC diagnostic pop

namespace lf::xdp {
namespace {

constexpr const char* kSocketsMap = "xsks_map";
constexpr uint32_t kMapsMax = 64;        // of a program that is looked through
constexpr uint32_t kHeardPerTurn = 256;  // so that a flood of them leaves time for the rest
constexpr uint32_t kPresent = 1;         // value of a set's members

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

int log_libbpf(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[1024];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  std::string text(line);
  while (text.ends_with('\n')) text.pop_back();
  spdlog::warn("{}", text);
  return length;
}

// The map of a program by its name; -1 when it has none.
Descriptor map_of(int program, const char* name) {
  uint32_t ids[kMapsMax];
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  info.nr_map_ids = kMapsMax;
  info.map_ids = reinterpret_cast<uintptr_t>(ids);
  if (bpf_obj_get_info_by_fd(program, &info, &size) != 0) return Descriptor(-1);
  for (uint32_t i = 0; i < std::min(info.nr_map_ids, kMapsMax); ++i) {
    Descriptor map(bpf_map_get_fd_by_id(ids[i]));
    bpf_map_info map_info{};
    uint32_t map_size = sizeof map_info;
    if (map.get() >= 0 && bpf_obj_get_info_by_fd(map.get(), &map_info, &map_size) == 0 &&
        std::strcmp(map_info.name, name) == 0)
      return map;
  }
  return Descriptor(-1);
}

template <typename Key, typename Value>
bool put(const bpf_map* map, const Key& key, const Value& value) {
  return bpf_map__update_elem(map, &key, sizeof key, &value, sizeof value, BPF_ANY) == 0;
}

template <typename Key>
bool take_away(const bpf_map* map, const Key& key) {
  return bpf_map__delete_elem(map, &key, sizeof key, 0) == 0 || errno == ENOENT;
}

tl::unexpected<Error> failed(const char* what) {
  return fail(ErrorCode::unavailable, "XDP: {}: {}", what, std::strerror(errno));
}

// Places of a per-CPU array have a value for each CPU that there may ever be.
template <typename Value>
std::vector<Value> of_all_cpus() {
  static_assert(sizeof(Value) % 8 == 0);
  return std::vector<Value>(static_cast<size_t>(std::max(1, libbpf_num_possible_cpus())));
}

template <typename Value>
std::vector<Value> read_place(const bpf_map* map, uint32_t place) {
  auto values = of_all_cpus<Value>();
  if (bpf_map__lookup_elem(map, &place, sizeof place, values.data(), values.size() * sizeof(Value),
                           0) != 0)
    return {};
  return values;
}

}  // namespace

Result<std::unique_ptr<Program>> Program::load(int xsks_map) {
  libbpf_set_print(log_libbpf);
  auto program = std::unique_ptr<Program>(new Program);
  lf_xdp_steer* skeleton = program->skeleton_ = lf_xdp_steer::open();
  if (skeleton == nullptr) return failed("the program cannot be opened");
  if (xsks_map >= 0 && bpf_map__reuse_fd(skeleton->maps.xsks_map, xsks_map) != 0)
    return failed("the sockets' map cannot be used");
  if (lf_xdp_steer::load(skeleton) != 0) return failed("the kernel does not take the program");
  const auto heard = [](void* context, void* data, size_t) {
    auto* self = static_cast<Program*>(context);
    const auto* h = static_cast<const lf_xdp_heard*>(data);
    self->hear_({h->frame, std::min<size_t>(h->length, sizeof h->frame)});
    return --self->heard_left_ == 0 ? -ECANCELED : 0;
  };
  program->ring_ =
      ring_buffer__new(bpf_map__fd(skeleton->maps.heard), heard, program.get(), nullptr);
  if (program->ring_ == nullptr) return failed("ring of copies");
  return program;
}

Result<std::unique_ptr<Program>> Program::replace_seats(const std::string& interface) {
  const int index = static_cast<int>(::if_nametoindex(interface.c_str()));
  uint32_t id = 0;
  if (index == 0 || bpf_xdp_query_id(index, 0, &id) != 0)
    return failed("the interface cannot be asked for its program");
  const Descriptor seats(bpf_prog_get_fd_by_id(id));
  const Descriptor sockets = map_of(seats.get(), kSocketsMap);
  if (sockets.get() < 0)
    return fail(ErrorCode::unavailable, "XDP: {} has no program with a map {}", interface,
                kSocketsMap);
  auto program = load(sockets.get());
  if (!program) return program;
  // A link cannot take the place of a program that has none. In between the kernel gets everything.
  if (bpf_xdp_detach(index, 0, nullptr) != 0) return failed("the seats cannot be detached");
  if (auto attached = (*program)->attach(index); !attached) return tl::unexpected(attached.error());
  return program;
}

Result<void> Program::attach(int interface_index) {
  link_ = bpf_program__attach_xdp(skeleton_->progs.lf_steer, interface_index);
  if (link_ == nullptr) return failed("the program cannot be attached");
  LIBBPF_OPTS(bpf_xdp_query_opts, query);
  native_ = bpf_xdp_query(interface_index, 0, &query) == 0 && query.attach_mode == XDP_ATTACHED_DRV;
  return {};
}

Program::~Program() {
  if (ring_ != nullptr) ring_buffer__free(ring_);
  if (link_ != nullptr) bpf_link__destroy(link_);
  if (skeleton_ != nullptr) lf_xdp_steer::destroy(skeleton_);
}

Result<void> Program::fill(const Contents& contents) {
  const auto& maps = skeleton_->maps;
  for (const auto& endpoint : contents.endpoints)
    if (!filled_.endpoints.contains(endpoint) && !put(maps.endpoints, endpoint, kPresent))
      return failed("endpoints");
  for (const auto& [address, flags] : contents.own) {
    const auto old = filled_.own.find(address);
    if ((old == filled_.own.end() || old->second != flags) && !put(maps.own, address, flags))
      return failed("own addresses");
  }
  skeleton_->bss->port = contents.port;
  for (const auto& [address, flags] : filled_.own)
    if (!contents.own.contains(address) && !take_away(maps.own, address))
      return failed("own addresses");
  for (const auto& endpoint : filled_.endpoints)
    if (!contents.endpoints.contains(endpoint) && !take_away(maps.endpoints, endpoint))
      return failed("endpoints");
  filled_ = contents;
  return {};
}

Result<void> Program::apply(const DenyChange& change) {
  const auto with_key = [this](const config::Prefix& p, auto&& use) {
    const lf_xdp_address address = to_key(p.address);
    if (p.ip_version == 6) {
      lf_xdp_prefix6 key{.length = p.length, .bytes = {}};
      std::memcpy(key.bytes, address.bytes, sizeof key.bytes);
      return use(skeleton_->maps.deny6, key);
    }
    lf_xdp_prefix4 key{.length = p.length, .bytes = {}};
    std::memcpy(key.bytes, address.bytes + 12, sizeof key.bytes);
    return use(skeleton_->maps.deny4, key);
  };
  for (const Denial& d : change.allowed)
    if (!with_key(d.prefix, [](const bpf_map* map, auto& key) { return take_away(map, key); }))
      return failed("denied prefixes");
  for (const Denial& d : change.denied) {
    const auto zeros = of_all_cpus<lf_xdp_denied>();
    bpf_map__update_elem(skeleton_->maps.denied, &d.place, sizeof d.place, zeros.data(),
                         zeros.size() * sizeof(lf_xdp_denied), BPF_ANY);
    if (!with_key(d.prefix, [&](const bpf_map* map, auto& key) { return put(map, key, d.place); }))
      return failed("denied prefixes");
  }
  return {};
}

std::array<uint64_t, LF_XDP_COUNTS> Program::counts() const {
  std::array<uint64_t, LF_XDP_COUNTS> sums{};
  for (uint32_t place = 0; place < LF_XDP_COUNTS; ++place)
    for (const uint64_t n : read_place<uint64_t>(skeleton_->maps.counts, place)) sums[place] += n;
  return sums;
}

lf_xdp_denied Program::denied(uint32_t place) const {
  lf_xdp_denied sum{};
  for (const lf_xdp_denied& d : read_place<lf_xdp_denied>(skeleton_->maps.denied, place)) {
    sum.packets += d.packets;
    sum.bytes += d.bytes;
  }
  return sum;
}

int Program::heard_fd() const {
  return ring_buffer__epoll_fd(ring_);
}

void Program::hear(const Hear& hear) {
  hear_ = hear;
  heard_left_ = kHeardPerTurn;
  (void)ring_buffer__consume(ring_);
  hear_ = nullptr;
}

int Program::fd() const {
  return bpf_program__fd(skeleton_->progs.lf_steer);
}

uint32_t Program::id() const {
  bpf_prog_info info{};
  uint32_t size = sizeof info;
  return bpf_obj_get_info_by_fd(fd(), &info, &size) == 0 ? info.id : 0;
}

}  // namespace lf::xdp
