// SPDX-License-Identifier: Apache-2.0
#include "control/intake/row.hpp"

#include <simdjson.h>

#include <charconv>
#include <new>

#include "control/intake/deadline.hpp"

namespace lf::intake {
namespace {

using simdjson::dom::element;
using simdjson::dom::element_type;

constexpr size_t kFirstCapacity = 16u << 10;

// Whether arrays and objects are in each other more than kDepthMax deep, in text that need not be
// JSON: what is between quotes does not count.
bool is_too_deep(std::string_view text) {
  uint32_t depth = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') ++i;
      quoted = c != '"';
    } else if (c == '"') {
      quoted = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kDepthMax) return true;
    } else if ((c == '}' || c == ']') && depth != 0) {
      --depth;
    }
  }
  return false;
}

FaultKind why_not(std::string_view text) {
  if (!simdjson::validate_utf8(text.data(), text.size())) return FaultKind::not_utf8;
  return is_too_deep(text) ? FaultKind::too_deep : FaultKind::not_json;
}

// Fields of a command that a batch looks at; `other` stands for all others.
enum class Field : uint8_t {
  command_id,
  deadline,
  intent,
  issued_by,
  satellite_id,
  signature,
  trace_id,  // as kRequired
  annotations,
  payload,
  org,
  other
};

Field field_of(std::string_view key) {
  const auto is = [&](std::string_view name, Field field) {
    return key == name ? field : Field::other;
  };
  switch (key.size()) {
    case 3:
      return is("org", Field::org);
    case 6:
      return is("intent", Field::intent);
    case 7:
      return is("payload", Field::payload);
    case 8:
      return key[0] == 'd' ? is("deadline", Field::deadline) : is("trace_id", Field::trace_id);
    case 9:
      return key[0] == 'i' ? is("issued_by", Field::issued_by) : is("signature", Field::signature);
    case 10:
      return is("command_id", Field::command_id);
    case 11:
      return is("annotations", Field::annotations);
    case 12:
      return is("satellite_id", Field::satellite_id);
    default:
      return Field::other;
  }
}

Deadline deadline_of_value(element value) {
  switch (value.type()) {
    case element_type::STRING:
      return deadline_of(value.get_string().value_unsafe());
    case element_type::INT64:
      return deadline_of(value.get_int64().value_unsafe());
    case element_type::UINT64:  // beyond int64
      return {0, DeadlineFault::out_of_range};
    case element_type::DOUBLE:
      return deadline_of(value.get_double().value_unsafe());
    default:
      return {0, DeadlineFault::neither_text_nor_number};
  }
}

}  // namespace

struct RowReader::Parser {
  simdjson::dom::parser parser;
  simdjson::dom::object row;
};
static_assert(kPadding >= simdjson::SIMDJSON_PADDING);

RowReader::RowReader(const OrgNames& orgs) : orgs_(orgs), parser_(std::make_unique<Parser>()) {
  if (parser_->parser.allocate(kFirstCapacity, kDepthMax) != simdjson::SUCCESS)
    throw std::bad_alloc();
}

RowReader::~RowReader() = default;

std::string_view RowReader::decimal(uint64_t value) {
  const auto end = std::to_chars(digits_, digits_ + sizeof digits_, value).ptr;
  return {digits_, static_cast<size_t>(end - digits_)};
}

Row RowReader::read(std::string_view text, int64_t now_us) {
  Row row;
  if (text.size() > kRowBytesMax) {
    row.fault.kind = FaultKind::too_long;
    return row;
  }
  element root;
  if (parser_->parser.parse(text.data(), text.size(), false).get(root) != simdjson::SUCCESS) {
    row.fault.kind = why_not(text);
    return row;
  }
  row.fault.kind =
      root.get(parser_->row) == simdjson::SUCCESS ? fill(now_us, row) : FaultKind::not_object;
  return row;
}

// Of a key that comes twice, the last value counts.
FaultKind RowReader::fill(int64_t now_us, Row& row) {
  Shape shape;
  element deadline;
  FaultKind annotations = FaultKind::none, payload = FaultKind::none, org = FaultKind::none;
  const auto text = [&](element value, uint8_t bit) {
    std::string_view view;
    const bool is_text = value.get(view) == simdjson::SUCCESS;
    shape.not_text = static_cast<uint8_t>((shape.not_text & ~bit) | (is_text ? 0 : bit));
    return view;
  };
  for (const auto [key, value] : parser_->row) {
    const Field field = field_of(key);
    if (field <= Field::trace_id)
      shape.present = static_cast<uint8_t>(shape.present | 1u << static_cast<uint8_t>(field));
    switch (field) {
      case Field::intent:
        text(value, 1);
        break;
      case Field::signature:
        text(value, 2);
        break;
      case Field::command_id:
        row.command_id = text(value, 4);
        break;
      case Field::satellite_id:
        text(value, 8);
        break;
      case Field::deadline:
        deadline = value;
        break;
      case Field::annotations:
        annotations = value.is_object() ? FaultKind::none : FaultKind::annotations;
        break;
      case Field::payload:
        payload = value.is_object() ? FaultKind::none : FaultKind::payload;
        break;
      case Field::org:
        org = FaultKind::none;
        row.org = {};
        if (value.is_uint64())
          row.org = decimal(value.get_uint64().value_unsafe());
        else if (!value.is_null() && value.get(row.org) != simdjson::SUCCESS)
          org = FaultKind::org;
        break;
      default:
        break;
    }
  }
  if (shape.present != kAllRequired || shape.not_text != 0) {
    row.fault.shape = shape;
    return FaultKind::shape;
  }
  const Deadline parsed = deadline_of_value(deadline);
  if (parsed.fault != DeadlineFault::none) {
    row.fault.deadline = parsed.fault;
    return FaultKind::deadline;
  }
  if (annotations != FaultKind::none) return annotations;
  if (payload != FaultKind::none) return payload;
  row.deadline_us = parsed.unix_us;
  if (parsed.unix_us < now_us) return FaultKind::expired;
  return org;
}

}  // namespace lf::intake
