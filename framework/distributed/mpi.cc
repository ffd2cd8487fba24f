// Mpi (mpi.h). Tested by tests/distributed/mpi_test.cc.
#include "framework/distributed/mpi.h"

#include <mpi.h>
#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// A message has at most so many bytes, since MPI counts them by an int: longer
// exchanges have several.
constexpr size_t kMostBytes = size_t{1} << 30;

std::string ErrorText(int code) {
  char text[MPI_MAX_ERROR_STRING] = {};
  int length = 0;
  MPI_Error_string(code, text, &length);
  return text;
}

// Blocks, while it lives, the signals that ask a program to stop, in this thread and
// in those that it starts: MPI's threads must not take them from the program's own,
// which may wait for them or have them blocked.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int number : {SIGHUP, SIGINT, SIGTERM}) {
      sigaddset(&signals, number);
    }
    pthread_sigmask(SIG_BLOCK, &signals, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

void Finalize() {
  int is_over = 0;
  MPI_Finalized(&is_over);
  if (is_over == 0) MPI_Finalize();
}

}  // namespace

struct Mpi::Connection {
  MPI_Comm communicator = MPI_COMM_NULL;
  // The messages of each exchange under way, by ticket; none: free.
  std::vector<std::vector<MPI_Request>> requests;
};

absl::StatusOr<std::unique_ptr<Mpi>> Mpi::Start(int& argc, char**& argv) {
  // A plan's thread calls MPI, one at a time.
  int provided = 0;
  int code = MPI_SUCCESS;
  {
    const BlockedSignals blocked;
    code = MPI_Init_thread(&argc, &argv, MPI_THREAD_SERIALIZED, &provided);
  }
  if (code != MPI_SUCCESS) {
    return absl::InternalError(absl::StrCat("MPI_Init: ", ErrorText(code)));
  }
  if (provided < MPI_THREAD_SERIALIZED) {
    return absl::FailedPreconditionError(
        "MPI: expected the thread level MPI_THREAD_SERIALIZED, found less");
  }
  // exit() within a library, as by --help, must not look like a crash.
  std::atexit(Finalize);
  auto connection = std::make_unique<Connection>();
  code = MPI_Comm_dup(MPI_COMM_WORLD, &connection->communicator);
  if (code != MPI_SUCCESS) {
    return absl::InternalError(absl::StrCat("MPI_Comm_dup: ", ErrorText(code)));
  }
  MPI_Comm_set_errhandler(connection->communicator, MPI_ERRORS_RETURN);
  return std::unique_ptr<Mpi>(new Mpi(std::move(connection)));
}

Mpi::Mpi(std::unique_ptr<Connection> connection)
    : connection_(std::move(connection)) {
  MPI_Comm_rank(connection_->communicator, &rank_);
  MPI_Comm_size(connection_->communicator, &size_);
}

Mpi::~Mpi() { Finalize(); }

int Mpi::Begin(const Exchange& exchange) {
  std::vector<std::vector<MPI_Request>>& all = connection_->requests;
  auto requests = std::find_if(all.begin(), all.end(),
                               [](const auto& one) { return one.empty(); });
  if (requests == all.end()) requests = all.insert(all.end(), {{}});
  requests->clear();
  const auto post = [&](size_t bytes, const auto& call) {
    // Empty messages travel too: both sides count alike.
    size_t at = 0;
    do {
      const size_t some = std::min(bytes - at, kMostBytes);
      MPI_Request& request = requests->emplace_back(MPI_REQUEST_NULL);
      const int code = call(at, static_cast<int>(some), &request);
      if (code != MPI_SUCCESS) {
        throw StatusError(absl::UnavailableError(
            absl::StrCat("rank ", rank_, " of ", size_, ": to rank ",
                         exchange.peer, ": MPI: ", ErrorText(code))));
      }
      at += some;
    } while (at < bytes);
  };
  post(exchange.receive_bytes, [&](size_t at, int count, MPI_Request* request) {
    return MPI_Irecv(static_cast<std::byte*>(exchange.receive) + at, count,
                     MPI_BYTE, exchange.peer, exchange.tag,
                     connection_->communicator, request);
  });
  post(exchange.send_bytes, [&](size_t at, int count, MPI_Request* request) {
    return MPI_Isend(static_cast<const std::byte*>(exchange.send) + at, count,
                     MPI_BYTE, exchange.peer, exchange.tag,
                     connection_->communicator, request);
  });
  return static_cast<int>(requests - all.begin());
}

bool Mpi::IsDone(int ticket) {
  std::vector<MPI_Request>& requests = connection_->requests[ticket];
  int is_done = 0;
  const int code = MPI_Testall(static_cast<int>(requests.size()),
                               requests.data(), &is_done, MPI_STATUSES_IGNORE);
  if (code != MPI_SUCCESS) {
    throw StatusError(absl::UnavailableError(absl::StrCat(
        "rank ", rank_, " of ", size_, ": MPI: ", ErrorText(code))));
  }
  if (is_done == 0) return false;
  requests.clear();
  return true;
}

void Mpi::Abort(const absl::Status& status) {
  const std::string message = Printable(status.message());
  // Errors of exchanges and those of other ranks begin with a rank.
  absl::string_view rest = message;
  const bool names_rank = absl::ConsumePrefix(&rest, "rank ") &&
                          !rest.empty() && absl::ascii_isdigit(rest[0]);
  const std::string rank = absl::StrCat("rank ", rank_, ": ");
  std::fprintf(stderr, "%s%s\n", names_rank ? "" : rank.c_str(),
               message.c_str());
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, 1);
  std::abort();
}

std::string Mpi::Version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING] = {};
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version = text;
  return version.substr(0, version.find('\n'));
}

}  // namespace tape
