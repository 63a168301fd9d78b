// SPDX-License-Identifier: Apache-2.0
#include "control/intake/fault.hpp"

#include <fmt/format.h>

#include <iterator>

namespace lf::intake {
namespace {

std::string_view why(DeadlineFault fault) {
  switch (fault) {
    case DeadlineFault::neither_text_nor_number:
      return "neither text nor a number";
    case DeadlineFault::not_iso8601:
      return "not ISO 8601";
    case DeadlineFault::out_of_range:
      return "out of range";
    case DeadlineFault::none:
      break;
  }
  return "";
}

std::string message_of(const Fault& fault) {
  switch (fault.kind) {
    case FaultKind::too_long:
      return fmt::format("longer than {} bytes", kRowBytesMax);
    case FaultKind::not_utf8:
      return "not UTF-8";
    case FaultKind::too_deep:
      return fmt::format("nested more than {} deep", kDepthMax);
    case FaultKind::not_json:
      return "not JSON";
    case FaultKind::not_object:
      return "command must be object";
    case FaultKind::deadline:
      return fmt::format("invalid deadline ({})", why(fault.deadline));
    case FaultKind::annotations:
      return "annotations must be object";
    case FaultKind::payload:
      return "payload must be object";
    case FaultKind::expired:
      return "deadline already expired";
    case FaultKind::org:
      return "org must be a string or a number";
    case FaultKind::none:
    case FaultKind::shape:
      break;
  }
  return "";
}

}  // namespace

std::vector<std::string> validate_command_shape(const Shape& shape) {
  std::vector<std::string> messages;
  std::string missing;
  for (size_t i = 0; i < std::size(kRequired); ++i) {
    if (shape.present >> i & 1) continue;
    missing += missing.empty() ? "" : ", ";
    missing += kRequired[i];
  }
  if (!missing.empty()) messages.push_back("missing required fields: " + missing);
  for (size_t i = 0; i < std::size(kTexts); ++i)
    if (shape.not_text >> i & 1) messages.push_back(fmt::format("{} must be a string", kTexts[i]));
  return messages;
}

std::vector<std::string> texts_of(const Fault& fault) {
  std::vector<std::string> texts;
  if (fault.kind == FaultKind::shape)
    texts = validate_command_shape(fault.shape);
  else
    texts.push_back(message_of(fault));
  for (std::string& text : texts) text = fmt::format("row {}: {}", fault.row, text);
  return texts;
}

}  // namespace lf::intake
