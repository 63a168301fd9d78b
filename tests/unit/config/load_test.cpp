// SPDX-License-Identifier: Apache-2.0
#include "control/config/load.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/unit/support/source_root.hpp"

namespace lf::config {
namespace {

const std::filesystem::path kSource = source_root();

constexpr const char* kPorts = "ports: [{name: a, device: net_null0, addresses: [192.0.2.1/24]}]\n";
constexpr const char* kServices =
    "services: [{name: s, address: 192.0.2.10, nodes: [{name: n, id: 1, address: 192.0.2.20}]}]\n";

std::string base() {
  return std::string(kPorts) + kServices;
}

std::string errors_of(const std::string& text) {
  const Loaded loaded = parse(text, "t");
  return loaded ? "" : to_text(loaded.error());
}

TEST(Load, TheExamplesAreGood) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "docs/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    const Loaded loaded = load(entry.path());
    EXPECT_TRUE(loaded) << to_text(loaded.error());
    ++count;
  }
  EXPECT_GE(count, 2);
}

TEST(Load, MinimalIsWhatOutsidersRelyOn) {
  const Loaded loaded = load(kSource / "docs/examples/minimal.yaml");
  ASSERT_TRUE(loaded);
  EXPECT_FALSE(loaded->dataplane.hugepages);
  ASSERT_EQ(1u, loaded->services.size());
  EXPECT_EQ(3u, loaded->services[0].nodes.size());
  ASSERT_EQ(2u, loaded->organisations.size());
  EXPECT_EQ("acme", loaded->organisations[0].name);
  EXPECT_EQ(1u, loaded->organisations[0].id);
  EXPECT_EQ("globex", loaded->organisations[1].name);
  EXPECT_EQ(2u, loaded->organisations[1].id);
  EXPECT_EQ("", loaded->policy.file);
  EXPECT_EQ("", loaded->policy.store);
  ASSERT_EQ(5u, loaded->intents.size());
  EXPECT_EQ("firmware-patch", loaded->intents[4].name);
  EXPECT_EQ(5, loaded->intents[4].clearance);
}

// Each file's first line is "# expect: LINE:COLUMN: MESSAGE"; that message must be among the
// errors, and no error may lack a position.
TEST(Load, BrokenConfigurationsAreRefusedWithAPosition) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "tests/config/bad")) {
    if (entry.path().extension() != ".yaml") continue;
    std::ifstream file(entry.path());
    std::string first;
    std::getline(file, first);
    const std::string prefix = "# expect: ";
    ASSERT_TRUE(first.starts_with(prefix)) << entry.path();
    const std::string expected = entry.path().string() + ":" + first.substr(prefix.size());
    const Loaded loaded = load(entry.path());
    ASSERT_FALSE(loaded) << entry.path();
    const bool found = std::any_of(loaded.error().begin(), loaded.error().end(),
                                   [&](const Error& e) { return e.message == expected; });
    EXPECT_TRUE(found) << "expected " << expected << "\ngot\n" << to_text(loaded.error());
    EXPECT_EQ(1u, loaded.error().size()) << to_text(loaded.error());
    ++count;
  }
  EXPECT_GE(count, 20);
}

TEST(Load, CollectsAllErrors) {
  const std::string errors =
      errors_of("ports: [{name: a b, device: net_null0, mtu: x, vlan: 5000}]\n" +
                std::string("colour: blue\n") + kServices);
  EXPECT_NE(std::string::npos, errors.find("ports[0].name"));
  EXPECT_NE(std::string::npos, errors.find("ports[0].mtu"));
  EXPECT_NE(std::string::npos, errors.find("ports[0].vlan"));
  EXPECT_NE(std::string::npos, errors.find("colour"));
}

TEST(Load, AnErrorIsOneLineWhateverTheFileHolds) {
  using namespace std::string_literals;
  for (const std::string& text : {"!\005\000\012"s, "\"a\\n\\r\\e\": 1\n"s, "ports: [\"\\n\"]\n"s}) {
    const Loaded loaded = parse(text, "f");
    ASSERT_FALSE(loaded);
    for (const Error& error : loaded.error())
      EXPECT_EQ(std::string::npos, error.message.find_first_of("\n\r\x1b"s)) << error.message;
  }
}

TEST(Load, ListedIntentsReplaceTheDefaultsButKnownNamesKeepTheirValues) {
  const Loaded loaded = parse(
      base() + "intents: [{name: firmware-patch, clearance: 4}, {name: deorbit, code: 77}]\n", "t");
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  ASSERT_EQ(2u, loaded->intents.size());
  EXPECT_EQ(5, loaded->intents[0].code);
  EXPECT_EQ(4, loaded->intents[0].clearance);
  EXPECT_EQ("mission", loaded->intents[0].chain.back());
  EXPECT_EQ(77, loaded->intents[1].code);
  EXPECT_EQ(3, loaded->intents[1].clearance);
}

TEST(Load, ServicesStartFromTheServiceDefaults) {
  const Loaded loaded = parse(
      base() + "service_defaults: {timeout: 7ms, health: {alpha: 0.5}, breaker: {trials: 9}}\n",
      "t");
  ASSERT_TRUE(loaded) << to_text(loaded.error());
  EXPECT_EQ(7u, loaded->services[0].timeout_ms);
  EXPECT_EQ(0.5, loaded->services[0].health.alpha);
  EXPECT_EQ(9u, loaded->services[0].breaker.trials);
}

TEST(Load, KeysComeFromFilesRelativeToTheConfiguration) {
  const auto directory = std::filesystem::path(::testing::TempDir()) / "lf_config_keys";
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "one") << "000102030405060708090a0b0c0d0e0f\n";
  std::ofstream(directory / "short") << "0001";
  const std::string path = directory / "c.yaml";
  const auto with = [&](const std::string& key) {
    return parse(base() + "organisations: [{name: o, id: 1, keys: {7: \"" + key + "\"}}]\n", path);
  };
  const Loaded good = with("file:one");
  ASSERT_TRUE(good) << to_text(good.error());
  EXPECT_EQ(7, good->organisations[0].keys[0].id);
  EXPECT_EQ(15, good->organisations[0].keys[0].bytes[15]);
  const Loaded missing = with("file:two");
  ASSERT_FALSE(missing);
  EXPECT_NE(std::string::npos, to_text(missing.error()).find("cannot read the key file"));
  const Loaded bad = with("file:short");
  ASSERT_FALSE(bad);
  EXPECT_NE(std::string::npos, to_text(bad.error()).find("has 4 characters"));
  std::filesystem::remove_all(directory);
}

TEST(Load, KeyMaterialIsNeverInAMessage) {
  const std::string errors = errors_of(
      base() + "organisations: [{name: o, id: 1, keys: {1: 00112233445566778899aabbccddeefg}}]\n");
  EXPECT_NE(std::string::npos, errors.find("position 32")) << errors;
  EXPECT_EQ(std::string::npos, errors.find("00112233"));
}

TEST(Load, ManyMistakesAreCutOff) {
  std::string text = base();
  for (int i = 0; i < 500; ++i) text += "key" + std::to_string(i) + ": 1\n";
  const Loaded loaded = parse(text, "t");
  ASSERT_FALSE(loaded);
  EXPECT_EQ(101u, loaded.error().size());
  EXPECT_NE(std::string::npos, loaded.error().back().message.find("400 more"));
}

TEST(Load, AMissingFileSaysSo) {
  const Loaded loaded = load("/nonexistent/x.yaml");
  ASSERT_FALSE(loaded);
  EXPECT_EQ("/nonexistent/x.yaml:1:1: cannot be opened", loaded.error()[0].message);
}

}  // namespace
}  // namespace lf::config
