// SPDX-License-Identifier: Apache-2.0
// Real sinks against a local HTTP server and real programs. Mail and a real Alertmanager are in
// tests/e2e/notify_test.py.
#include "control/notify/sinks.hpp"

#include <gtest/gtest.h>
#include <httplib.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "control/notify/run_command.hpp"

namespace lf::notify {
namespace {

using Json = nlohmann::json;

Message message() {
  Message m;
  m.uuid = "11112222-3333-4444-8555-666677778888";
  m.created_us = 1'767'225'600'250'000;
  m.event = {4, "quota", "acme, orbit-adjust:\nexhausted", {{"org", "acme"}}};
  m.subject = "[sev-4] quota";
  m.recipient = "ops@example.org";
  m.channels = {"sms", "email"};
  return m;
}

class HttpServer {
 public:
  HttpServer() {
    server.Post(".*", [this](const httplib::Request& request, httplib::Response& response) {
      path = request.path;
      body = request.body;
      key = request.get_header_value("Idempotency-Key");
      response.status = status;
    });
    port = server.bind_to_any_port("127.0.0.1");
    thread = std::thread([this] { server.listen_after_bind(); });
    while (!server.is_running()) std::this_thread::yield();
  }
  ~HttpServer() {
    server.stop();
    thread.join();
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port); }

  httplib::Server server;
  int port = 0, status = 200;
  std::string path, body, key;
  std::thread thread;
};

TEST(Sinks, WebhookPostsOneJsonObject) {
  HttpServer http;
  const std::atomic<bool> stopping{false};
  const auto deliver = make_sink({"webhook", http.url() + "/hook?x=1", {}, ""});
  const auto r = deliver(message(), stopping);
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(http.path, "/hook");
  EXPECT_EQ(http.key, message().uuid);
  const Json body = Json::parse(http.body);
  EXPECT_EQ(body["id"], message().uuid);
  EXPECT_EQ(body["time"], "2026-01-01T00:00:00.250000Z");
  EXPECT_EQ(body["severity"], 4);
  EXPECT_EQ(body["subject"], "[sev-4] quota");
  EXPECT_EQ(body["text"], "acme, orbit-adjust:\nexhausted");
  EXPECT_EQ(body["channels"], Json({"sms", "email"}));
}

TEST(Sinks, AlertmanagerGetsOneAlert) {
  HttpServer http;
  const std::atomic<bool> stopping{false};
  ASSERT_TRUE(make_sink({"alertmanager", http.url() + "/", {}, ""})(message(), stopping));
  EXPECT_EQ(http.path, "/api/v2/alerts");
  const Json body = Json::parse(http.body);
  ASSERT_EQ(body.size(), 1u);
  EXPECT_EQ(body[0]["labels"]["alertname"], "LatticeForge");
  EXPECT_EQ(body[0]["labels"]["severity"], "4");
  EXPECT_EQ(body[0]["labels"]["org"], "acme");
  EXPECT_EQ(body[0]["annotations"]["summary"], "[sev-4] quota");
  EXPECT_EQ(body[0]["startsAt"], "2026-01-01T00:00:00.250000Z");
}

TEST(Sinks, AnErrorStatusIsAFailure) {
  HttpServer http;
  http.status = 503;
  const std::atomic<bool> stopping{false};
  const auto r = make_sink({"webhook", http.url(), {}, ""})(message(), stopping);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().message, http.url() + ": HTTP status 503");
}

TEST(Sinks, ADeadServerIsAFailure) {
  std::string url;
  {
    HttpServer http;
    url = http.url();
  }
  const std::atomic<bool> stopping{false};
  EXPECT_FALSE(make_sink({"webhook", url, {}, ""})(message(), stopping));
}

TEST(Sinks, TextThatIsNotUtf8StillMakesJson) {
  Message m = message();
  m.event.text = "bad \xff byte";
  EXPECT_TRUE(Json::accept(webhook_body(m)));
  EXPECT_TRUE(Json::accept(alertmanager_body(m)));
}

TEST(Sinks, MailHasItsHeadersAndNoneFromTheText) {
  Message m = message();
  m.subject = "[sev-4] quota\r\nBcc: everybody@example.org";
  const std::string mail = mail_text(m, "latticeforge@host");
  EXPECT_NE(mail.find("Date: Thu, 01 Jan 2026 00:00:00 +0000\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Subject: [sev-4] quota  Bcc: everybody@example.org\r\n"), std::string::npos);
  EXPECT_NE(mail.find("Message-ID: <" + m.uuid + "@host>\r\n"), std::string::npos);
  EXPECT_NE(mail.find("\r\n\r\nacme, orbit-adjust:\r\nexhausted\r\n"), std::string::npos);
}

TEST(Sinks, CommandGetsTheTextAndTheFields) {
  const std::string out = ::testing::TempDir() + "lf_command_" + std::to_string(::getpid());
  const std::atomic<bool> stopping{false};
  const auto deliver = make_sink(
      {"command", "{ cat; echo \"$LF_SUBJECT/$LF_SEVERITY/$LF_CHANNELS\"; } > " + out, {}, "duty"});
  const auto r = deliver(message(), stopping);
  ASSERT_TRUE(r) << r.error().message;
  std::stringstream text;
  text << std::ifstream(out).rdbuf();
  EXPECT_EQ(text.str(), "acme, orbit-adjust:\nexhausted\n[sev-4] quota/4/sms,email\n");
  ::unlink(out.c_str());
}

TEST(RunCommand, FailsWithTheExitStatusOrTheSignal) {
  const std::atomic<bool> stopping{false};
  EXPECT_EQ(run_command("exit 3", {}, "", 10'000, stopping).error().message,
            "exit 3: exit status 3");
  EXPECT_EQ(run_command("kill -9 $$", {}, "", 10'000, stopping).error().message,
            "kill -9 $$: ended by signal 9");
}

TEST(RunCommand, ACommandThatReadsNothingIsNoProblem) {
  const std::atomic<bool> stopping{false};
  EXPECT_TRUE(run_command("exec 0<&-; true", {}, std::string(1 << 20, 'x'), 10'000, stopping));
}

TEST(RunCommand, KillsWhatTakesTooLong) {
  const std::atomic<bool> stopping{false};
  EXPECT_EQ(run_command("sleep 60 & wait", {}, "", 100, stopping).error().message,
            "sleep 60 & wait: took too long");
  const std::atomic<bool> stop_now{true};
  EXPECT_EQ(run_command("sleep 60", {}, "", 60'000, stop_now).error().message, "sleep 60: stopped");
}

}  // namespace
}  // namespace lf::notify
