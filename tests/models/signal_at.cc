// A library to preload into a program, which then gets signals at calls of
// what changes files, or of these and of the clock, which training reads at each
// step: any moment that another process could tell apart, and the same one on a
// slow machine as on a fast one. See SignalAt in program_testing.h; the
// environment has
//   TAPE_SIGNALS_AT  "SIGNAL CALL KINDS AND_END" for each, 8 at most, in one
//                    line: a number; which call, counted from 1, or from the
//                    signal before; "files" or "all"; 1 or 0;
//   TAPE_CALLS       a file to which both numbers of calls are written when the
//                    program exits.
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

namespace {

struct Order {
  int signal;
  long call;
  bool of_files;
  bool and_end;
};

struct Orders {
  Orders() {
    const char* text = std::getenv("TAPE_SIGNALS_AT");
    char kinds[8];
    int and_end, length;
    while (text != nullptr && size < 8 &&
           std::sscanf(text, "%d %ld %7s %d%n", &orders[size].signal,
                       &orders[size].call, kinds, &and_end, &length) == 4) {
      orders[size].of_files = std::strcmp(kinds, "files") == 0;
      orders[size++].and_end = and_end == 1;
      text += length;
    }
  }

  Order orders[8];
  int size = 0;
  int next = 0;
  long calls = 0;  // Of the next order's kinds, since the one before.
};

std::mutex mutex;
long file_calls = 0, all_calls = 0;

// Counts a call; the order that it carries out, if any.
const Order* Count(bool of_file) {
  static Orders* const orders = new Orders;
  const std::lock_guard<std::mutex> lock(mutex);
  ++all_calls;
  file_calls += of_file;
  if (orders->next == orders->size) return nullptr;
  const Order& order = orders->orders[orders->next];
  if (order.of_files && !of_file) return nullptr;
  if (++orders->calls < order.call) return nullptr;
  ++orders->next;
  orders->calls = 0;
  return &order;
}

// Sends the signal to the process, and waits until it has been taken, by
// whichever thread; or until it has ended the process, of which this thread does
// no more.
void Send(const Order& order) {
  kill(getpid(), order.signal);
  sigset_t pending;
  while (sigpending(&pending) == 0 &&
         sigismember(&pending, order.signal) == 1) {
    sched_yield();
  }
  if (!order.and_end) return;
  sleep(300);
  _exit(99);
}

void SendAt(bool of_file) {
  if (const Order* const order = Count(of_file)) Send(*order);
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

void WriteNumber(int file, long number) {
  char text[24];
  const int length = std::snprintf(text, sizeof text, "%ld ", number);
  static_cast<void>(
      !Next<ssize_t(int, const void*, size_t)>("write")(file, text, length));
}

__attribute__((destructor)) void WriteCounts() {
  const char* const path = std::getenv("TAPE_CALLS");
  if (path == nullptr) return;
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  WriteNumber(file, file_calls);
  WriteNumber(file, all_calls);
  close(file);
}

}  // namespace

extern "C" {

ssize_t write(int file, const void* bytes, size_t count) {
  static auto* const next = Next<decltype(write)>("write");
  const Order* const order = Count(true);
  if (order == nullptr) return next(file, bytes, count);
  const ssize_t written = next(file, bytes, count / 2);
  Send(*order);
  return written;
}

int fsync(int file) {
  static auto* const next = Next<decltype(fsync)>("fsync");
  SendAt(true);
  return next(file);
}

int rename(const char* from, const char* to) noexcept {
  static auto* const next = Next<int(const char*, const char*)>("rename");
  SendAt(true);
  return next(from, to);
}

int unlink(const char* path) noexcept {
  static auto* const next = Next<int(const char*)>("unlink");
  SendAt(true);
  return next(path);
}

int clock_gettime(clockid_t clock, timespec* time) noexcept {
  static auto* const next = Next<int(clockid_t, timespec*)>("clock_gettime");
  SendAt(false);
  return next(clock, time);
}

}  // extern "C"
