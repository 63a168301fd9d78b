// SPDX-License-Identifier: Apache-2.0
// Serves /metrics and the status page over HTTP from two texts that the control thread refreshes.
// Runs on threads of its own, which see only those texts: a slow or hostile scraper cannot touch
// the workers, the control thread or any table.
#pragma once

#include <memory>
#include <string>

#include "control/base/result.hpp"

namespace lf::metrics {

class HttpServer {
 public:
  // "127.0.0.1:9464" or "[::1]:9464".
  static Result<std::unique_ptr<HttpServer>> start(const std::string& address);
  ~HttpServer();  // stops and joins
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // What is served from now on. Thread: any.
  void publish(std::string metrics, std::string page);
  int port() const;

 private:
  struct State;
  explicit HttpServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lf::metrics
