// SPDX-License-Identifier: Apache-2.0
#include "control/notify/run_command.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

extern char** environ;

namespace lf::notify {
namespace {

constexpr int kPollMs = 50;

struct Descriptor {
  int fd = -1;
  ~Descriptor() { close(); }
  void close() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

// Starts /bin/sh -c in its own process group, with `input` as its standard input, no signals
// blocked, and every other descriptor as the daemon made it (close-on-exec).
int spawn(const std::string& command_line, const std::vector<std::string>& environment, int input,
          pid_t& pid) {
  std::vector<char*> env;
  for (char** e = environ; *e != nullptr; ++e) env.push_back(*e);
  for (const std::string& e : environment) env.push_back(const_cast<char*>(e.c_str()));
  env.push_back(nullptr);
  char sh[] = "/bin/sh", option[] = "-c";
  char* argv[] = {sh, option, const_cast<char*>(command_line.c_str()), nullptr};

  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_adddup2(&files, input, 0);
  posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  sigset_t all;
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  const int error = posix_spawn(&pid, sh, &files, &attributes, argv, env.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&files);
  return error;
}

// Sends the rest of the text as far as the command takes it; closes when done or refused.
void feed(Descriptor& to, const std::string& text, size_t& sent) {
  while (to.fd >= 0 && sent < text.size()) {
    const ssize_t n =
        ::send(to.fd, text.data() + sent, text.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n > 0)
      sent += static_cast<size_t>(n);
    else if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return;
    else
      break;  // it reads no more: its business
  }
  to.close();
}

}  // namespace

Result<void> run_command(const std::string& command_line,
                         const std::vector<std::string>& environment, const std::string& input,
                         int timeout_ms, const std::atomic<bool>& stopping) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    return fail(ErrorCode::unavailable, "{}: {}", command_line, ::strerror(errno));
  Descriptor ours{pair[0]}, theirs{pair[1]};
  pid_t pid = -1;
  if (const int error = spawn(command_line, environment, theirs.fd, pid); error != 0)
    return fail(ErrorCode::unavailable, "{}: {}", command_line, ::strerror(error));
  theirs.close();

  Descriptor process{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))};
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  size_t sent = 0;
  int status = 0;
  for (;;) {
    feed(ours, input, sent);
    pollfd wait[] = {{process.fd, POLLIN, 0}, {ours.fd, POLLOUT, 0}};
    ::poll(wait, 2, kPollMs);
    const pid_t ended = ::waitpid(pid, &status, WNOHANG);
    if (ended == pid) break;
    if (ended < 0 && errno != EINTR)
      return fail(ErrorCode::unavailable, "{}: {}", command_line, ::strerror(errno));
    if (stopping.load() || std::chrono::steady_clock::now() >= end) {
      ::kill(-pid, SIGKILL);
      ::waitpid(pid, &status, 0);
      return fail(ErrorCode::unavailable, "{}: {}", command_line,
                  stopping.load() ? "stopped" : "took too long");
    }
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  if (WIFSIGNALED(status))
    return fail(ErrorCode::unavailable, "{}: ended by signal {}", command_line, WTERMSIG(status));
  return fail(ErrorCode::unavailable, "{}: exit status {}", command_line, WEXITSTATUS(status));
}

}  // namespace lf::notify
