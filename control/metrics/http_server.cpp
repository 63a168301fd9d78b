// SPDX-License-Identifier: Apache-2.0
#include "control/metrics/http_server.hpp"

#include <httplib.h>

#include <sys/socket.h>

#include <atomic>
#include <charconv>
#include <mutex>
#include <thread>

namespace lf::metrics {
namespace {

constexpr size_t kThreads = 4;
constexpr time_t kPatienceS = 2;  // with a client that neither sends nor reads

}  // namespace

struct HttpServer::State {
  httplib::Server server;
  std::mutex mutex;
  std::shared_ptr<const std::string> metrics = std::make_shared<const std::string>();
  std::shared_ptr<const std::string> page = std::make_shared<const std::string>();
  int port = 0;
  std::atomic<bool> over{false};  // the thread has left its loop
  std::thread thread;

  std::string get(const std::shared_ptr<const std::string>& which) {
    const std::lock_guard lock(mutex);
    return *which;
  }
};

HttpServer::HttpServer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos)
    return fail(ErrorCode::invalid, "metrics: \"{}\" has no port", address);
  std::string host = address.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  int port = -1;
  const char* end = address.data() + address.size();
  if (std::from_chars(address.data() + colon + 1, end, port).ptr != end || port < 0 || port > 65535)
    return fail(ErrorCode::invalid, "metrics: \"{}\" has no port", address);

  auto state = std::make_unique<State>();
  State& s = *state;
  s.server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
  s.server.set_read_timeout(kPatienceS);
  s.server.set_write_timeout(kPatienceS);
  s.server.set_keep_alive_timeout(kPatienceS);
  s.server.set_payload_max_length(0);
  // The library's default shares the port with other processes: two daemons would take turns.
  s.server.set_socket_options([](socket_t fd) {
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  });
  s.server.Get("/metrics", [&s](const httplib::Request&, httplib::Response& response) {
    response.set_content(s.get(s.metrics), "text/plain; version=0.0.4; charset=utf-8");
  });
  s.server.Get("/", [&s](const httplib::Request&, httplib::Response& response) {
    response.set_content(s.get(s.page), "text/html; charset=utf-8");
  });
  const bool any = port == 0;
  s.port = any ? s.server.bind_to_any_port(host.c_str()) : port;
  if (s.port < 0 || (!any && !s.server.bind_to_port(host.c_str(), port)))
    return fail(ErrorCode::unavailable, "metrics: cannot listen on {}", address);
  s.thread = std::thread([&s] {
    s.server.listen_after_bind();
    s.over.store(true);
  });
  // stop() has no effect on a server that does not run yet.
  while (!s.server.is_running() && !s.over.load()) std::this_thread::yield();
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(state)));
}

HttpServer::~HttpServer() {
  state_->server.stop();
  state_->thread.join();
}

void HttpServer::publish(std::string metrics, std::string page) {
  auto new_metrics = std::make_shared<const std::string>(std::move(metrics));
  auto new_page = std::make_shared<const std::string>(std::move(page));
  const std::lock_guard lock(state_->mutex);
  state_->metrics = std::move(new_metrics);
  state_->page = std::move(new_page);
}

int HttpServer::port() const {
  return state_->port;
}

}  // namespace lf::metrics
