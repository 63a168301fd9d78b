// SPDX-License-Identifier: Apache-2.0
#include "control/resilience/outage_classifier.hpp"

#include <gtest/gtest.h>

#include "tests/support/property.hpp"

namespace lf::resilience {
namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

// Asks for each threshold whether minutes reach ceil(threshold / services): no product at all.
OutageClass model(int64_t minutes, int64_t services) {
  const int64_t n = services < 1 ? 1 : services;
  const auto reaches = [&](int64_t threshold) {
    return minutes >= threshold / n + (threshold % n != 0);
  };
  if (reaches(240)) return OutageClass::critical;
  if (reaches(120)) return OutageClass::major;
  if (reaches(40)) return OutageClass::degraded;
  return OutageClass::minor;
}

TEST(OutageClassifier, Thresholds) {
  EXPECT_EQ(classify_outage(39, 1), OutageClass::minor);
  EXPECT_EQ(classify_outage(40, 1), OutageClass::degraded);
  EXPECT_EQ(classify_outage(119, 1), OutageClass::degraded);
  EXPECT_EQ(classify_outage(60, 2), OutageClass::major);
  EXPECT_EQ(classify_outage(239, 1), OutageClass::major);
  EXPECT_EQ(classify_outage(60, 4), OutageClass::critical);
}

TEST(OutageClassifier, NoServicesCountAsOne) {
  EXPECT_EQ(classify_outage(40, 0), OutageClass::degraded);
  EXPECT_EQ(classify_outage(240, -7), OutageClass::critical);
  EXPECT_EQ(classify_outage(240, kMin), OutageClass::critical);
}

TEST(OutageClassifier, HugeAndNegativeInputs) {
  EXPECT_EQ(classify_outage(kMax, kMax), OutageClass::critical);
  EXPECT_EQ(classify_outage(kMin, kMax), OutageClass::minor);
  EXPECT_EQ(classify_outage(-1, 1000), OutageClass::minor);
}

TEST(OutageClassifier, NamesItsClasses) {
  EXPECT_EQ(name(OutageClass::minor), "minor");
  EXPECT_EQ(name(OutageClass::degraded), "degraded");
  EXPECT_EQ(name(OutageClass::major), "major");
  EXPECT_EQ(name(OutageClass::critical), "critical");
}

TEST(OutageClassifier, AgreesWithModel) {
  test::check_property(20'000, [] {
    const int64_t minutes = *test::any_int64();
    const int64_t services = *test::any_int64();
    RC_ASSERT(classify_outage(minutes, services) == model(minutes, services));
  });
}

}  // namespace
}  // namespace lf::resilience
