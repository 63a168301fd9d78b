// SPDX-License-Identifier: Apache-2.0
// Reading the parameters of a control-socket command: takes values with defaults, and keeps the
// first complaint for the end. For the .cpp files of command handlers.
#pragma once

#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "control/base/result.hpp"

namespace lf::policy {

class Arguments {
 public:
  explicit Arguments(const nlohmann::json& params) : params_(params) {}

  bool has(const char* name) const { return params_.contains(name) && !params_[name].is_null(); }
  const nlohmann::json& raw(const char* name) const { return params_[name]; }

  std::string text(const char* name, std::string otherwise = "") {
    if (!has(name)) return otherwise;
    if (params_[name].is_string()) return params_[name].get<std::string>();
    complain(name, "must be text");
    return otherwise;
  }
  double number(const char* name, double otherwise, double low, double high) {
    if (!has(name)) return otherwise;
    const nlohmann::json& v = params_[name];
    if (!v.is_number()) {
      complain(name, "must be a number");
      return otherwise;
    }
    const double d = v.get<double>();
    if (!(d >= low && d <= high)) complain(name, fmt::format("must be {}..{}", low, high));
    return d;
  }
  // Whole numbers; also as text of digits, which is how a shell passes them.
  int64_t integer(const char* name, int64_t otherwise, int64_t low, int64_t high) {
    if (!has(name)) return otherwise;
    const nlohmann::json& v = params_[name];
    if (!v.is_number_integer() || (v.is_number_unsigned() && v.get<uint64_t>() > INT64_MAX)) {
      complain(name, "must be a whole number");
      return otherwise;
    }
    const int64_t n = v.get<int64_t>();
    if (n < low || n > high) complain(name, fmt::format("must be {}..{}", low, high));
    return n;
  }
  bool boolean(const char* name, bool otherwise) {
    if (!has(name)) return otherwise;
    if (params_[name].is_boolean()) return params_[name].get<bool>();
    complain(name, "must be true or false");
    return otherwise;
  }
  std::vector<std::string> texts(const char* name) {
    std::vector<std::string> out;
    if (!has(name)) return out;
    const nlohmann::json& v = params_[name];
    if (v.is_string()) return {v.get<std::string>()};
    if (!v.is_array()) complain(name, "must be a list of texts");
    if (v.is_array())
      for (const nlohmann::json& item : v) {
        if (item.is_string())
          out.push_back(item.get<std::string>());
        else
          complain(name, "must be a list of texts");
      }
    return out;
  }
  std::vector<double> numbers(const char* name) {
    std::vector<double> out;
    if (!has(name)) return out;
    if (!params_[name].is_array()) complain(name, "must be a list of numbers");
    if (params_[name].is_array())
      for (const nlohmann::json& item : params_[name]) {
        if (item.is_number())
          out.push_back(item.get<double>());
        else
          complain(name, "must be a list of numbers");
      }
    return out;
  }

  void complain(const char* name, const std::string& what) {
    if (!error_) error_ = Error{ErrorCode::invalid, fmt::format("{} {}", name, what)};
  }
  std::optional<Error> error() const { return error_; }

 private:
  const nlohmann::json& params_;
  std::optional<Error> error_;
};

}  // namespace lf::policy
