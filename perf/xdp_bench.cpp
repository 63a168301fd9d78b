// SPDX-License-Identifier: Apache-2.0
// What the XDP program takes for a packet, in the kernel (BPF_PROG_TEST_RUN, which repeats it on
// one packet and says how long that took; warm caches, no driver). Needs root.
//
// "xdp.nothing" is a program that only says "to the kernel": what the measuring itself takes.
// "xdp.deny/N": a packet that is dropped, with N prefixes on the list. "xdp.steer": one for a
// worker (there is no socket: without the redirect itself). "xdp.pass": one of the kernel's.
#include <benchmark/benchmark.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <vector>

#include "control/config/values.hpp"
#include "control/parse/table_builder.hpp"
#include "control/xdp/program.hpp"
#include "control/xdp/seats.hpp"
#include "tests/support/world.hpp"

namespace {

using namespace lf;

constexpr int kRepeats = 100'000;

// Mean nanoseconds of one run, as the kernel measured.
void measure(benchmark::State& state, int program, const test::Packet& packet) {
  const test::Bytes frame = test::build(packet);
  for (auto _ : state) {
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = frame.data(),
                .data_size_in = static_cast<uint32_t>(frame.size()), .repeat = kRepeats);
    if (bpf_prog_test_run_opts(program, &run) != 0) return state.SkipWithError("test run failed");
    state.SetIterationTime(run.duration * 1e-9);
  }
}

// An address in 10.0.0.0/8 or above that is not the client's.
config::Prefix other_prefix(uint32_t n) {
  return config::parse_prefix(fmt::format("{}.{}.{}.0/24", 11 + (n >> 14), n >> 6 & 255, n & 63))
      .value();
}

std::unique_ptr<xdp::Program> program(benchmark::State& state, int64_t prefixes, bool deny_client) {
  auto loaded = xdp::Program::load(-1);
  if (!loaded) {
    state.SkipWithError(loaded.error().message.c_str());
    return nullptr;
  }
  const auto table = parse::build_table(test::world(), test::world_ports()).value();
  xdp::DenyList list(LF_XDP_DENY_MAX);
  std::vector<config::Prefix> deny;
  if (deny_client) deny.push_back(config::parse_prefix("10.0.0.12/32").value());
  while (static_cast<int64_t>(deny.size()) < prefixes)
    deny.push_back(other_prefix(static_cast<uint32_t>(deny.size())));
  if (!(*loaded)->fill(xdp::build_contents(table, {.id = 0, .interface = "eth0"}, {})) ||
      !(*loaded)->apply(list.configure(deny).value()))
    state.SkipWithError("the maps cannot be filled");
  return std::move(*loaded);
}

test::Packet command_to(const char* address) {
  test::Packet p;
  p.dst = address;
  return p;
}

void nothing(benchmark::State& state) {
  const auto seats = xdp::Seats::create();
  bpf_object* object = seats ? bpf_object__open_file(seats->path().c_str(), nullptr) : nullptr;
  if (object == nullptr || bpf_object__load(object) != 0)
    state.SkipWithError("the kernel does not take the program");
  else
    measure(state, bpf_program__fd(bpf_object__next_program(object, nullptr)), {});
  if (object != nullptr) bpf_object__close(object);
}

void deny(benchmark::State& state) {
  if (const auto p = program(state, state.range(0), true)) measure(state, p->fd(), {});
}
void steer(benchmark::State& state) {
  if (const auto p = program(state, 0, false)) measure(state, p->fd(), {});
}
void pass(benchmark::State& state) {
  if (const auto p = program(state, 0, false)) measure(state, p->fd(), command_to("10.0.0.77"));
}

BENCHMARK(nothing)->Name("xdp.nothing")->Iterations(10)->UseManualTime();
BENCHMARK(deny)->Name("xdp.deny")->Arg(1)->Arg(16'384)->Iterations(10)->UseManualTime();
BENCHMARK(steer)->Name("xdp.steer")->Iterations(10)->UseManualTime();
BENCHMARK(pass)->Name("xdp.pass")->Iterations(10)->UseManualTime();

}  // namespace

BENCHMARK_MAIN();
