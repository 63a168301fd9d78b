// SPDX-License-Identifier: Apache-2.0
#include "tools/lfctl/command_line.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "tools/lfctl/completion.hpp"

namespace lf::ctl {
namespace {

constexpr const char* kDefaultSocket = "/run/latticeforge/control.sock";

// Short forms that people expect: words to method.
constexpr std::pair<const char*, const char*> kAliases[] = {
    {"reload", "config.reload"},
};
// Groups whose bare name is a method other than GROUP.list, and what it is with an argument.
struct GroupDefault {
  const char* group;
  const char* bare;
  const char* with_argument;
};
constexpr GroupDefault kDefaults[] = {
    {"quota", "quota.top", "quota.status"},
};
// Methods whose first parameter is a text that people keep in a file.
constexpr const char* kFromFile[] = {"policy.load", "policy.check"};

// Parameters that lfctl fills in when nobody gives them: who it is, and the file's name.
constexpr const char* kAuthor = "author";
constexpr const char* kSource = "source";

std::string user_name() {
  if (const char* sudo = std::getenv("SUDO_USER"); sudo != nullptr && *sudo != '\0') return sudo;
  const passwd* user = ::getpwuid(::getuid());
  return user != nullptr ? user->pw_name : std::to_string(::getuid());
}

std::string dashed(std::string word) {
  std::replace(word.begin(), word.end(), '_', '-');
  return word;
}

bool is_positional(const std::string& type) {
  return type.find("string") != std::string::npos || type.find("integer") != std::string::npos ||
         type.find("number") != std::string::npos || type == "any";
}

CLI::App* child(CLI::App& app, const std::string& name) {
  try {
    return app.get_subcommand(name);
  } catch (const CLI::OptionNotFound&) {
    return nullptr;
  }
}

bool reads_file(const std::string& method) {
  return std::find(std::begin(kFromFile), std::end(kFromFile), method) != std::end(kFromFile);
}

}  // namespace

std::string socket_from(const std::vector<std::string>& words) {
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--socket" && i + 1 < words.size()) return words[i + 1];
    if (words[i].starts_with("--socket=")) return words[i].substr(9);
  }
  const char* environment = std::getenv("LATTICEFORGE_SOCKET");
  return environment != nullptr && *environment != '\0' ? environment : kDefaultSocket;
}

CommandLine::CommandLine(std::vector<MethodInfo> methods)
    : methods_(std::move(methods)),
      app_(std::make_unique<CLI::App>("Looks into and steers a LatticeForge daemon.", "lfctl")) {
  app_->fallthrough();
  app_->require_subcommand(0, 1);
  app_->add_option("--socket", options_.socket, "the daemon's control socket")
      ->type_name("PATH")
      ->default_str(socket_from({}));
  app_->add_flag("--json", options_.json, "print the answer as JSON");
  app_->add_flag("-w,--watch", options_.watch, "show it again and again");
  app_->add_option("--interval", options_.interval_s, "seconds between two showings")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.05, 3600.0));
  app_->add_flag("--no-colour", options_.no_colour, "no colours, whatever the terminal can");
  app_->footer("Exit status: 0 done, 1 refused by the daemon, 2 wrong usage, 3 no daemon.");
  for (const MethodInfo& method : methods_)
    if (!method.name.starts_with("rpc.")) add_method(method);
  add_list_defaults();
  describe_groups();
  add_own();
}

CommandLine::~CommandLine() = default;

void CommandLine::add_method(const MethodInfo& method) {
  CLI::App* app = app_.get();
  size_t start = 0;
  while (true) {
    const size_t dot = method.name.find('.', start);
    const std::string word = dashed(method.name.substr(start, dot - start));
    const bool last = dot == std::string::npos;
    CLI::App* next = child(*app, word);
    if (next == nullptr) {
      next = app->add_subcommand(word, last ? method.help : "");
      next->fallthrough();
      if (!last) next->require_subcommand(1);
    } else if (last) {
      next->description(method.help);
    }
    app = next;
    if (last) break;
    start = dot + 1;
  }
  bind(method, *app, true);
}

// `positional`: parameters may be given by position, too.
CommandLine::Bound& CommandLine::bind(const MethodInfo& method, CLI::App& app, bool positional) {
  Bound& bound = bound_.emplace_back();
  bound.method = method;
  bound.app = &app;
  std::stable_partition(bound.method.parameters.begin(), bound.method.parameters.end(),
                        [](const ParameterInfo& p) { return p.required; });
  for (const ParameterInfo& info : bound.method.parameters) {
    Argument& argument = bound.arguments.emplace_back();
    argument.info = info;
    const bool by_position =
        positional && (info.required || (is_positional(info.type) && info.type != "boolean"));
    const std::string name = (by_position ? info.name + "," : "") + "--" + dashed(info.name) +
                             (info.name != dashed(info.name) ? ",--" + info.name : "");
    argument.option = app.add_option(name, argument.word, info.help);
    const bool file = reads_file(method.name) && &info == &bound.method.parameters.front();
    argument.option->type_name(file ? "FILE" : info.type);
    if (info.required) argument.option->required();
    if (info.type == "boolean") argument.option->expected(0, 1);
  }
  return bound;
}

// `lfctl nodes` is `lfctl nodes list`, options included.
void CommandLine::add_list_defaults() {
  const auto add = [this](const std::string& group, const std::string& name) {
    const auto method = std::find_if(methods_.begin(), methods_.end(),
                                     [&](const MethodInfo& m) { return m.name == name; });
    CLI::App* app = child(*app_, dashed(group));
    if (method == methods_.end() || app == nullptr) return;
    const bool is_own_method =
        std::any_of(bound_.begin(), bound_.end(), [&](const Bound& b) { return b.app == app; });
    if (is_own_method) return;
    app->require_subcommand(0, 1);
    if (app->get_description().empty()) app->description(method->help);
    bind(*method, *app, false);
  };
  for (const GroupDefault& d : kDefaults) {
    add(d.group, d.bare);
    CLI::App* app = child(*app_, d.group);
    const auto method = std::find_if(methods_.begin(), methods_.end(), [&](const MethodInfo& m) {
      return m.name == d.with_argument;
    });
    if (app == nullptr || method == methods_.end()) continue;
    Bound& more = bind(*method, *app, true);
    for (Argument& argument : more.arguments) argument.option->required(false);
  }
  for (const MethodInfo& method : methods_)
    if (method.name.ends_with(".list"))
      add(method.name.substr(0, method.name.size() - 5), method.name);
  for (const auto& [word, name] : kAliases) {
    const auto method = std::find_if(methods_.begin(), methods_.end(),
                                     [&](const MethodInfo& m) { return m.name == name; });
    if (method == methods_.end()) continue;
    CLI::App* app = app_->add_subcommand(word, method->help);
    app->fallthrough();
    bind(*method, *app, true);
  }
}

void CommandLine::describe_groups() {
  const auto all = [](CLI::App*) { return true; };
  for (CLI::App* group : app_->get_subcommands(all)) {
    if (!group->get_description().empty()) continue;
    std::string words;
    for (const CLI::App* sub : group->get_subcommands(all))
      words += (words.empty() ? "" : ", ") + sub->get_name();
    group->description(words);
  }
}

void CommandLine::add_own() {
  rpc_ = app_->add_subcommand("rpc", "call any method, with JSON or key=value parameters");
  rpc_->fallthrough();
  rpc_->add_option("METHOD", rpc_method_, "as in `lfctl help`")->required();
  rpc_->add_option("PARAMS", rpc_words_, "a JSON object or array, or key=value …");
  completion_ = app_->add_subcommand("completion", "print the completion script for a shell");
  completion_->fallthrough();
  completion_->add_option("SHELL", completion_shell_, "bash")->check(CLI::IsMember({"bash"}));
}

Invocation CommandLine::usage(const std::string& message) const {
  std::fprintf(stderr, "lfctl: %s\n", message.c_str());
  return {.finished = true, .status = kUsage};
}

Invocation CommandLine::parse(std::vector<std::string> words) {
  options_.socket = socket_from(words);
  std::reverse(words.begin(), words.end());  // CLI11 takes them from the back
  try {
    app_->parse(std::move(words));
  } catch (const CLI::ParseError& error) {
    const int status = app_->exit(error);
    return {.finished = true, .status = status == 0 ? kOk : kUsage};
  }
  if (completion_->parsed()) {
    std::fputs(kBashCompletion, stdout);
    return {.finished = true};
  }
  if (rpc_->parsed()) {
    auto params = parameters_from(rpc_words_);
    if (!params) return usage(params.error());
    const auto known = std::find_if(methods_.begin(), methods_.end(),
                                    [&](const MethodInfo& m) { return m.name == rpc_method_; });
    return {.method = rpc_method_,
            .params = std::move(*params),
            .mutates = known != methods_.end() && known->mutates};
  }
  // A group may stand for two methods: the one whose arguments were given is meant.
  Bound* chosen = nullptr;
  for (Bound& bound : bound_) {
    if (!bound.app->parsed() || !bound.app->get_subcommands().empty()) continue;
    const bool any = std::any_of(bound.arguments.begin(), bound.arguments.end(),
                                 [](const Argument& a) { return a.option->count() > 0; });
    if (chosen == nullptr || any) chosen = &bound;
  }
  if (chosen != nullptr) return invoke(*chosen);
  std::fputs(app_->help().c_str(), stdout);
  return {.finished = true, .status = kUsage};
}

Invocation CommandLine::invoke(Bound& bound) {
  Invocation out{.method = bound.method.name, .mutates = bound.method.mutates};
  for (size_t i = 0; i < bound.arguments.size(); ++i) {
    Argument& argument = bound.arguments[i];
    if (argument.option->count() == 0) {
      const std::string& name = argument.info.name;
      if (name == kAuthor) out.params[name] = user_name();
      if (name == kSource && reads_file(bound.method.name))
        out.params[name] = bound.arguments.front().word.substr(1);
      continue;
    }
    if (argument.info.type == "boolean" && argument.word.empty()) argument.word = "true";
    if (i == 0 && reads_file(bound.method.name) && !argument.word.starts_with('@'))
      argument.word.insert(0, 1, '@');
    auto value = value_from(argument.word, argument.info.type);
    if (!value) {
      const bool file = argument.word.starts_with('@');
      return usage(
          file ? value.error()
               : fmt::format("{}: \"{}\" {}", argument.info.name, argument.word, value.error()));
    }
    out.params[argument.info.name] = std::move(*value);
  }
  return out;
}

std::vector<std::string> CommandLine::complete(const std::vector<std::string>& words) {
  std::vector<std::string> out;
  const std::string last = words.empty() ? "" : words.back();
  CLI::App* app = app_.get();
  size_t position = 0;
  bool skip = false;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    if (skip || words[i].starts_with('-')) {
      skip = !skip && (words[i] == "--socket" || words[i] == "--interval");
      continue;
    }
    if (CLI::App* next = child(*app, words[i]); next != nullptr) {
      app = next;
      position = 0;
    } else {
      ++position;
    }
  }
  const auto offer = [&](const std::string& word) {
    if (word.starts_with(last) || word.starts_with('<')) out.push_back(word);
  };
  if (last.starts_with('-')) {
    for (const CLI::App* scope : {app, app_.get()})
      for (const CLI::Option* option : scope->get_options())
        for (const std::string& name : option->get_lnames()) offer("--" + name);
    return out;
  }
  for (const CLI::App* next : app->get_subcommands([](CLI::App*) { return true; }))
    offer(next->get_name());
  for (const Bound& bound : bound_)
    if (bound.app == app && position < bound.arguments.size() &&
        bound.arguments[position].option->get_positional())
      offer("<" + bound.arguments[position].info.name + ">");
  if (app == rpc_ && position == 0)
    for (const MethodInfo& method : methods_) offer(method.name);
  return out;
}

}  // namespace lf::ctl
