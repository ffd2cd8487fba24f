// libslow_messages.so: adds latency to MPI's messages, to be preloaded into ranks
// (mpi_networks.py):
//
//   mpirun -x LD_PRELOAD=…/libslow_messages.so -x SLOW_MESSAGES_US=1000 …
//
// Wraps MPI_Isend and MPI_Testall by the standard's profiling interface (MPI 3.1,
// section 14.2). A message is handed to MPI by the first MPI_Testall that its sender
// calls after the delay, whatever requests that call is about. Meanwhile the sender
// works on, as with the latency of a network. For programs that send by MPI_Isend and
// wait by MPI_Testall alone, one thread at a time, as Mpi (mpi.h) does.
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <set>

namespace {

using Clock = std::chrono::steady_clock;

struct Send {
  MPI_Request request;
  Clock::time_point due;
};
struct Sends {
  std::deque<Send>
      waiting;  // Not handed to MPI yet, in the order of MPI_Isend.
  std::set<MPI_Request> started;
};

Sends& AllSends() {
  static Sends sends;
  return sends;
}

void StartWhatIsDue() {
  Sends& sends = AllSends();
  const Clock::time_point now = Clock::now();
  while (!sends.waiting.empty() && sends.waiting.front().due <= now) {
    MPI_Request& request = sends.waiting.front().request;
    PMPI_Start(&request);
    sends.started.insert(request);
    sends.waiting.pop_front();
  }
}

bool IsWaiting(MPI_Request request) {
  const std::deque<Send>& waiting = AllSends().waiting;
  return std::any_of(
      waiting.begin(), waiting.end(),
      [request](const Send& send) { return send.request == request; });
}

}  // namespace

int MPI_Isend(const void* buffer, int count, MPI_Datatype type, int to, int tag,
              MPI_Comm communicator, MPI_Request* request) {
  static const std::chrono::microseconds delay = [] {
    const char* const text = std::getenv("SLOW_MESSAGES_US");
    return std::chrono::microseconds(text == nullptr ? 0 : std::atoi(text));
  }();
  // A persistent request does nothing until it is started.
  const int code =
      PMPI_Send_init(buffer, count, type, to, tag, communicator, request);
  if (code == MPI_SUCCESS) {
    AllSends().waiting.push_back({*request, Clock::now() + delay});
  }
  return code;
}

int MPI_Testall(int count, MPI_Request* requests, int* flag,
                MPI_Status* statuses) {
  StartWhatIsDue();
  for (int i = 0; i < count; ++i) {
    if (!IsWaiting(requests[i])) continue;
    // MPI would take it for complete. The call lets other messages go on.
    *flag = 0;
    int found = 0;
    return PMPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &found,
                       MPI_STATUS_IGNORE);
  }
  const int code = PMPI_Testall(count, requests, flag, statuses);
  if (code != MPI_SUCCESS || *flag == 0) return code;
  // Persistent requests remain; the caller expects that they are freed.
  for (int i = 0; i < count; ++i) {
    if (AllSends().started.erase(requests[i]) > 0)
      PMPI_Request_free(&requests[i]);
  }
  return code;
}
