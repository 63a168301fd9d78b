// SPDX-License-Identifier: Apache-2.0
// lfctl's command line, made from the daemon's own table of commands: method node.set_weight is
// `lfctl node set-weight NODE WEIGHT`, each parameter is also an option (--weight). So the help,
// the checks and the completion know whatever the daemon knows.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "tools/lfctl/arguments.hpp"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace lf::ctl {

inline constexpr int kOk = 0, kRefused = 1, kUsage = 2, kNoDaemon = 3;

struct Options {
  std::string socket;
  bool json = false;
  bool watch = false;
  double interval_s = 1;
  bool no_colour = false;
};

// What the words ask for: a call, or something that is done already (`finished`).
struct Invocation {
  std::string method;
  Json params = Json::object();
  bool mutates = false;
  bool finished = false;
  int status = kOk;
};

class CommandLine {
 public:
  explicit CommandLine(std::vector<MethodInfo> methods);
  ~CommandLine();

  // Prints help and usage errors itself.
  Invocation parse(std::vector<std::string> words);
  const Options& options() const { return options_; }

  // Words that may come next; a parameter whose values only the daemon knows gives "<name>".
  std::vector<std::string> complete(const std::vector<std::string>& words);

 private:
  struct Argument {
    ParameterInfo info;
    std::string word;
    CLI::Option* option = nullptr;
  };
  struct Bound {
    MethodInfo method;
    CLI::App* app = nullptr;
    std::deque<Argument> arguments;
  };

  void add_method(const MethodInfo& method);
  Bound& bind(const MethodInfo& method, CLI::App& app, bool positional);
  void add_list_defaults();
  void describe_groups();
  void add_own();
  Invocation invoke(Bound& bound);
  Invocation usage(const std::string& message) const;

  Options options_;
  std::vector<MethodInfo> methods_;
  std::unique_ptr<CLI::App> app_;
  std::deque<Bound> bound_;
  CLI::App* rpc_ = nullptr;
  std::string rpc_method_;
  std::vector<std::string> rpc_words_;
  CLI::App* completion_ = nullptr;
  std::string completion_shell_ = "bash";
};

// The socket that the words name, the environment's, or the default.
std::string socket_from(const std::vector<std::string>& words);

}  // namespace lf::ctl
