// SPDX-License-Identifier: Apache-2.0
#include "control/intake/fault.hpp"

#include <gtest/gtest.h>

namespace lf::intake {
namespace {

using Texts = std::vector<std::string>;

TEST(Fault, ARightShapeHasNoMessages) {
  EXPECT_EQ(validate_command_shape({kAllRequired, 0}), Texts{});
}

TEST(Fault, MissingFieldsAreSorted) {
  EXPECT_EQ(validate_command_shape({0, 0}),
            Texts{"missing required fields: command_id, deadline, intent, issued_by, satellite_id, "
                  "signature, trace_id"});
  EXPECT_EQ(validate_command_shape({0x75, 0}),
            Texts{"missing required fields: deadline, issued_by"});
}

TEST(Fault, TextsComeInTheirOrder) {
  EXPECT_EQ(validate_command_shape({0x7e, 0xf}),
            (Texts{"missing required fields: command_id", "intent must be a string",
                   "signature must be a string", "command_id must be a string",
                   "satellite_id must be a string"}));
}

TEST(Fault, EveryTextNamesItsRow) {
  EXPECT_EQ(texts_of({7, FaultKind::shape, {}, {0x7b, 2}}),
            (Texts{"row 7: missing required fields: intent", "row 7: signature must be a string"}));
  EXPECT_EQ(texts_of({0, FaultKind::expired, {}, {}}), Texts{"row 0: deadline already expired"});
  EXPECT_EQ(texts_of({3, FaultKind::deadline, DeadlineFault::not_iso8601, {}}),
            Texts{"row 3: invalid deadline (not ISO 8601)"});
  EXPECT_EQ(texts_of({3, FaultKind::annotations, {}, {}}),
            Texts{"row 3: annotations must be object"});
  EXPECT_EQ(texts_of({3, FaultKind::payload, {}, {}}), Texts{"row 3: payload must be object"});
}

}  // namespace
}  // namespace lf::intake
