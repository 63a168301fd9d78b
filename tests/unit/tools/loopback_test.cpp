// SPDX-License-Identifier: Apache-2.0
// lf-send's thread and lf-node talking over real sockets on the loopback interface.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

#include "tools/lf_node/node.hpp"
#include "tools/lf_send/sender.hpp"

namespace lf {
namespace {

const lcp::KeyBytes kKey{1, 2, 3, 4};

// A node on a port of the kernel's choice, in a thread of its own.
class RunningNode {
 public:
  explicit RunningNode(node::Options options) {
    auto local = tools::parse_endpoint("127.0.0.1", 0);
    options.listen = {*local};
    node_ = std::make_unique<node::Node>(options, stop_);
    const auto opened = node_->open();
    EXPECT_TRUE(opened) << opened.error().message;
    address_ = node_->address();
    thread_ = std::jthread([this] { node_->run(); });
  }
  ~RunningNode() { stop(); }
  const tools::Endpoint& address() const { return address_; }
  // The node's memory may be looked at once it has stopped.
  const node::Node& stop() {
    stop_.store(true);
    if (thread_.joinable()) thread_.join();
    return *node_;
  }

 private:
  std::atomic<bool> stop_{false};
  std::unique_ptr<node::Node> node_;
  tools::Endpoint address_;
  std::jthread thread_;
};

send::Options options_to(const tools::Endpoint& target) {
  send::Options o;
  o.targets = {target};
  o.key = kKey;
  o.rate = 20'000;
  o.count = 2000;
  o.timeout_ms = 5000;
  o.sockets = 3;
  return o;
}

std::unique_ptr<send::Sender> run(const send::Options& options) {
  static const std::atomic<bool> never{false};
  auto sender = std::make_unique<send::Sender>(options, 42, 0, never);
  const auto opened = sender->open();
  EXPECT_TRUE(opened) << opened.error().message;
  sender->run();
  return sender;
}

node::Options with_key() {
  node::Options o;
  o.keys = {{.org = 1, .id = 1, .bytes = kKey}};
  return o;
}

TEST(Loopback, EveryCommandIsAnsweredOnce) {
  RunningNode node(with_key());
  const auto sender = run(options_to(node.address()));
  const send::Results& r = sender->results();
  EXPECT_EQ(r.unique, 2000u);
  EXPECT_EQ(r.answered, 2000u);
  EXPECT_EQ(r.lost, 0u);
  EXPECT_EQ(r.by_status[0], 2000u);
  EXPECT_EQ(r.tagged_answers, 2000u);
  EXPECT_EQ(r.bad_tags + r.foreign + r.malformed + r.duplicate_answers, 0u);
  EXPECT_EQ(r.latency.total(), 2000u);
  const node::Node& n = node.stop();
  EXPECT_EQ(n.summary().received, 2000u);
  EXPECT_EQ(n.seen().unique(), 2000u);
  EXPECT_EQ(n.seen().delivered_twice(), 0u);
}

TEST(Loopback, DuplicatesRetriesAndFaults) {
  node::Options options = with_key();
  options.behaviour.silent = 30;
  options.seed = 5;
  RunningNode node(options);
  send::Options o = options_to(node.address());
  o.duplicates = 25;
  o.timeout_ms = 100;
  o.retries = 20;
  o.count = 1000;
  o.faults = {{send::Fault::tag, 5}, {send::Fault::magic, 5}};
  const auto sender = run(o);
  const send::Results& r = sender->results();
  const uint64_t spoiled = r.spoiled[static_cast<uint8_t>(send::Fault::tag)] +
                           r.spoiled[static_cast<uint8_t>(send::Fault::magic)];
  EXPECT_GT(spoiled, 40u);
  EXPECT_EQ(r.unique, 1000 - spoiled);
  EXPECT_EQ(r.answered, r.unique);  // 30 % silent, but twenty retries
  EXPECT_GT(r.duplicates, 150u);
  EXPECT_GT(r.retries, 100u);
  EXPECT_EQ(r.sent, 1000 + r.duplicates + r.retries);
  const node::Node& n = node.stop();
  EXPECT_EQ(n.seen().unique(), r.unique);
  EXPECT_GT(n.summary().tags_bad, 0u);
  EXPECT_GT(n.summary().malformed, 0u);
  EXPECT_GT(n.seen().delivered_twice(), 100u);
}

TEST(Loopback, NodeObeysAndReports) {
  RunningNode listener(with_key());
  node::Options options = with_key();
  options.report_to = {listener.address()};
  options.report_ms = 10;
  options.node_id = 7;
  std::atomic<bool> stop{false};
  options.listen = {*tools::parse_endpoint("127.0.0.1", 0)};
  options.seconds = 0.1;
  node::Node node(options, stop);
  ASSERT_TRUE(node.open());
  EXPECT_EQ(node.obey("set capacity 300"), "ok");
  EXPECT_EQ(node.obey("set nonsense 300").rfind("error: ", 0), 0u);
  EXPECT_EQ(node.obey("dance").rfind("error: ", 0), 0u);
  EXPECT_EQ(node.obey(" get ").rfind("{\"received\":0", 0), 0u);
  node.run();
  EXPECT_GE(node.summary().reports, 2u);
  const node::Node& l = listener.stop();
  EXPECT_GE(l.summary().other, 1u);  // a REPORT is well-formed, and nothing that a node expects
  EXPECT_EQ(l.summary().malformed, 0u);
  EXPECT_EQ(node.obey("stop"), "ok");
  EXPECT_TRUE(stop.load());
}

}  // namespace
}  // namespace lf
