// SPDX-License-Identifier: Apache-2.0
#include "control/notify/sinks.hpp"

#include <curl/curl.h>
#include <fmt/chrono.h>
#include <fmt/core.h>
#include <fmt/ranges.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "control/notify/run_command.hpp"

namespace lf::notify {
namespace {

using Json = nlohmann::json;

constexpr long kConnectTimeoutMs = 3000;
constexpr long kTimeoutMs = 10'000;
constexpr int kCommandTimeoutMs = 30'000;

std::string iso_time(UnixUs us) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06}Z",
                     fmt::gmtime(static_cast<std::time_t>(us / 1'000'000)), us % 1'000'000);
}

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

struct Curl {
  Curl() : handle(curl_easy_init()) {}
  ~Curl() {
    curl_slist_free_all(headers);
    curl_slist_free_all(recipients);
    curl_easy_cleanup(handle);
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  CURL* handle;
  curl_slist* headers = nullptr;
  curl_slist* recipients = nullptr;
};

int stop_asked(void* stopping, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const std::atomic<bool>*>(stopping)->load() ? 1 : 0;
}

size_t ignore_body(char*, size_t size, size_t count, void*) {
  return size * count;
}

void set_common(Curl& c, const std::string& url, const std::atomic<bool>& stopping) {
  curl_easy_setopt(c.handle, CURLOPT_URL, url.c_str());
  curl_easy_setopt(c.handle, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(c.handle, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
  curl_easy_setopt(c.handle, CURLOPT_TIMEOUT_MS, kTimeoutMs);
  curl_easy_setopt(c.handle, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(c.handle, CURLOPT_XFERINFOFUNCTION, stop_asked);
  curl_easy_setopt(c.handle, CURLOPT_XFERINFODATA, const_cast<std::atomic<bool>*>(&stopping));
  curl_easy_setopt(c.handle, CURLOPT_WRITEFUNCTION, ignore_body);
}

Result<void> perform(Curl& c, const std::string& url) {
  const CURLcode code = curl_easy_perform(c.handle);
  if (code != CURLE_OK)
    return fail(ErrorCode::unavailable, "{}: {}", url, curl_easy_strerror(code));
  return {};
}

Result<void> post_json(const std::string& url, const std::string& body, const std::string& uuid,
                       const std::atomic<bool>& stopping) {
  Curl c;
  if (c.handle == nullptr) return fail(ErrorCode::unavailable, "libcurl does not start");
  set_common(c, url, stopping);
  c.headers = curl_slist_append(c.headers, "Content-Type: application/json");
  c.headers = curl_slist_append(c.headers, ("Idempotency-Key: " + uuid).c_str());
  c.headers = curl_slist_append(c.headers, "Expect:");
  curl_easy_setopt(c.handle, CURLOPT_HTTPHEADER, c.headers);
  curl_easy_setopt(c.handle, CURLOPT_POSTFIELDS, body.c_str());
  curl_easy_setopt(c.handle, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  if (auto r = perform(c, url); !r) return r;
  long status = 0;
  curl_easy_getinfo(c.handle, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200 || status > 299)
    return fail(ErrorCode::unavailable, "{}: HTTP status {}", url, status);
  return {};
}

struct Upload {
  std::string text;
  size_t sent = 0;
};

size_t read_upload(char* out, size_t size, size_t count, void* user) {
  auto& upload = *static_cast<Upload*>(user);
  const size_t n = std::min(size * count, upload.text.size() - upload.sent);
  std::copy_n(upload.text.data() + upload.sent, n, out);
  upload.sent += n;
  return n;
}

std::string host_name() {
  char name[256] = "localhost";
  ::gethostname(name, sizeof(name) - 1);
  return name;
}

Result<void> send_mail(const std::string& url, const Message& m,
                       const std::atomic<bool>& stopping) {
  Curl c;
  if (c.handle == nullptr) return fail(ErrorCode::unavailable, "libcurl does not start");
  set_common(c, url, stopping);
  const std::string sender = "latticeforge@" + host_name();
  Upload upload{mail_text(m, sender)};
  c.recipients = curl_slist_append(c.recipients, ("<" + m.recipient + ">").c_str());
  curl_easy_setopt(c.handle, CURLOPT_MAIL_FROM, ("<" + sender + ">").c_str());
  curl_easy_setopt(c.handle, CURLOPT_MAIL_RCPT, c.recipients);
  curl_easy_setopt(c.handle, CURLOPT_READFUNCTION, read_upload);
  curl_easy_setopt(c.handle, CURLOPT_READDATA, &upload);
  curl_easy_setopt(c.handle, CURLOPT_UPLOAD, 1L);
  return perform(c, url);
}

// What comes from an organisation's name must not add header lines.
std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char ch) { return ch < 0x20 || ch == 0x7f; }, ' ');
  return text;
}

std::string alertmanager_url(std::string url) {
  if (url.find("/api/") != std::string::npos) return url;
  while (url.ends_with('/')) url.pop_back();
  return url + "/api/v2/alerts";
}

Deliver command_sink(const std::string& command_line) {
  return [command_line](const Message& m, const std::atomic<bool>& stopping) {
    return run_command(command_line,
                       {"LF_ID=" + m.uuid, "LF_SUBJECT=" + m.subject,
                        "LF_SEVERITY=" + std::to_string(m.event.severity),
                        "LF_SUBSYSTEM=" + m.event.subsystem, "LF_RECIPIENT=" + m.recipient,
                        "LF_CHANNELS=" + fmt::format("{}", fmt::join(m.channels, ","))},
                       m.event.text + "\n", kCommandTimeoutMs, stopping);
  };
}

}  // namespace

std::string sink_key(const config::Sink& sink) {
  return sink.kind + ' ' + sink.url + ' ' + sink.recipient;
}

std::string alertmanager_body(const Message& m) {
  Json labels{{"alertname", "LatticeForge"},
              {"subsystem", m.event.subsystem},
              {"severity", std::to_string(m.event.severity)},
              {"notification", m.uuid}};
  for (const auto& [name, value] : m.event.labels)
    if (!labels.contains(name)) labels[name] = value;
  // No endsAt: a notification that was held up must not arrive as one that is over.
  const Json alert{{"labels", std::move(labels)},
                   {"annotations", {{"summary", m.subject}, {"description", m.event.text}}},
                   {"startsAt", iso_time(m.created_us)}};
  return dump(Json::array({alert}));
}

std::string webhook_body(const Message& m) {
  return dump(Json{{"id", m.uuid},
                   {"time", iso_time(m.created_us)},
                   {"severity", m.event.severity},
                   {"subsystem", m.event.subsystem},
                   {"subject", m.subject},
                   {"text", m.event.text},
                   {"labels", m.event.labels},
                   {"recipient", m.recipient},
                   {"channels", m.channels}});
}

std::string mail_text(const Message& m, const std::string& sender) {
  std::string body = m.event.text;
  for (size_t at = 0; (at = body.find('\n', at)) != std::string::npos; at += 2)
    body.replace(at, 1, "\r\n");
  return fmt::format(
      "Date: {:%a, %d %b %Y %H:%M:%S +0000}\r\nFrom: LatticeForge <{}>\r\nTo: <{}>\r\n"
      "Subject: {}\r\nMessage-ID: <{}@{}>\r\nMIME-Version: 1.0\r\n"
      "Content-Type: text/plain; charset=utf-8\r\n\r\n{}\r\n",
      fmt::gmtime(static_cast<std::time_t>(m.created_us / 1'000'000)), sender,
      one_line(m.recipient), one_line(m.subject), m.uuid, sender.substr(sender.find('@') + 1),
      body);
}

Deliver make_sink(const config::Sink& sink) {
  if (sink.kind == "alertmanager")
    return [url = alertmanager_url(sink.url)](const Message& m, const std::atomic<bool>& stopping) {
      return post_json(url, alertmanager_body(m), m.uuid, stopping);
    };
  if (sink.kind == "webhook")
    return [url = sink.url](const Message& m, const std::atomic<bool>& stopping) {
      return post_json(url, webhook_body(m), m.uuid, stopping);
    };
  if (sink.kind == "smtp") {
    const bool has_scheme = sink.url.find("://") != std::string::npos;
    return [url = has_scheme ? sink.url : "smtp://" + sink.url](const Message& m,
                                                                const std::atomic<bool>& stopping) {
      return send_mail(url, m, stopping);
    };
  }
  if (sink.kind == "command") return command_sink(sink.url);
  return [](const Message& m, const std::atomic<bool>&) -> Result<void> {
    spdlog::warn("notification {} to \"{}\": {}", m.subject, one_line(m.recipient),
                 one_line(m.event.text));
    return {};
  };
}

}  // namespace lf::notify
