// SPDX-License-Identifier: Apache-2.0
#include "dataplane/replay/orders.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace lf::replay {
namespace {

class OrdersTest : public ::testing::Test {
 protected:
  std::unique_ptr<Orders> orders = std::make_unique<Orders>();
};

TEST_F(OrdersTest, NothingAtFirst) {
  EXPECT_EQ(orders->active(), 0u);
  EXPECT_EQ(orders->next_active(0), kNoNode);
  EXPECT_EQ(orders->read(7).phase, Phase::none);
}

TEST_F(OrdersTest, CarriesOrderAndScope) {
  const uint16_t ticket =
      orders->give(7, {.phase = Phase::send, .batch = 64, .tokens = 4'000'000'000}, {513, 99});
  Scope scope;
  const Order order = orders->read(7, scope);
  EXPECT_EQ(order, (Order{Phase::send, 64, ticket, 4'000'000'000}));
  EXPECT_EQ(scope.before_epoch, 513);
  EXPECT_EQ(scope.deadline_us, 99u);
}

TEST_F(OrdersTest, EachOrderHasATicketOfItsOwn) {
  const uint16_t first = orders->give(7, {.phase = Phase::count}, {});
  EXPECT_EQ(orders->give(7, {.phase = Phase::none}, {}), static_cast<uint16_t>(first + 1));
}

TEST_F(OrdersTest, FindsActiveNodesInOrder) {
  for (const NodeSlot slot : {4095, 64, 63, 0}) orders->give(slot, {.phase = Phase::count}, {});
  EXPECT_EQ(orders->active(), 4u);
  EXPECT_EQ(orders->next_active(0), 0);
  EXPECT_EQ(orders->next_active(1), 63);
  EXPECT_EQ(orders->next_active(64), 64);
  EXPECT_EQ(orders->next_active(65), 4095);
  EXPECT_EQ(orders->next_active(4096), kNoNode);
  orders->give(64, {.phase = Phase::none}, {});
  orders->give(64, {.phase = Phase::none}, {});
  EXPECT_EQ(orders->active(), 3u);
  EXPECT_EQ(orders->next_active(64), 4095);
}

TEST_F(OrdersTest, TokensRunOut) {
  orders->give(7, {.phase = Phase::send, .tokens = 10}, {});
  const Order seen = orders->read(7);
  EXPECT_EQ(orders->take(7, seen, 6), 6u);
  EXPECT_EQ(orders->take(7, seen, 6), 4u);
  EXPECT_EQ(orders->take(7, seen, 6), 0u);
}

TEST_F(OrdersTest, TokensOfAnEarlierOrderAreWorthNothing) {
  orders->give(7, {.phase = Phase::send, .tokens = 10}, {});
  const Order seen = orders->read(7);
  orders->give(7, {.phase = Phase::send, .tokens = 10}, {});
  EXPECT_EQ(orders->take(7, seen, 6), 0u);
  EXPECT_EQ(orders->read(7).tokens, 10u);
}

TEST_F(OrdersTest, OnlySendingTakesTokens) {
  orders->give(7, {.phase = Phase::count, .tokens = 10}, {});
  EXPECT_EQ(orders->take(7, orders->read(7), 1), 0u);
}

// Meant for ThreadSanitizer: workers read and take while control gives one order after the other.
// Scope and tokens must belong to the order that was read.
TEST(OrdersStress, OrdersAreSeenWholeAndTokensTakenOnce) {
  constexpr uint32_t kOrders = 2000, kTokens = 50;
  const auto orders = std::make_unique<Orders>();
  std::atomic<bool> stop{false};
  std::vector<std::atomic<uint32_t>> taken(kOrders + 1);
  std::vector<std::thread> workers;
  for (int w = 0; w < 3; ++w)
    workers.emplace_back([&] {
      while (!stop.load(std::memory_order_relaxed)) {
        Scope scope;
        const Order order = orders->read(7, scope);
        if (order.phase != Phase::send) {
          std::this_thread::yield();
          continue;
        }
        ASSERT_EQ(scope.deadline_us, order.ticket);
        ASSERT_EQ(scope.before_epoch, static_cast<uint16_t>(order.ticket * 3));
        taken[order.ticket].fetch_add(orders->take(7, order, 7), std::memory_order_relaxed);
      }
    });
  for (uint32_t ticket = 1; ticket <= kOrders; ++ticket) {
    ASSERT_EQ(orders->give(7, {.phase = Phase::send, .tokens = kTokens},
                           {static_cast<uint16_t>(ticket * 3), ticket}),
              ticket);
    if (ticket % 16 == 0) std::this_thread::yield();
  }
  while (orders->read(7).tokens > 0) std::this_thread::yield();
  stop = true;
  for (auto& w : workers) w.join();
  for (const auto& t : taken) EXPECT_LE(t, kTokens);
  EXPECT_EQ(taken[kOrders], kTokens);
}

}  // namespace
}  // namespace lf::replay
