// Ranks that are processes of an MPI run (MPI: A Message-Passing Interface
// Standard, version 3.1): Open MPI or MPICH. A program that trains on several
// processes needs three lines:
//
//   absl::StatusOr<std::unique_ptr<Mpi>> mpi = Mpi::Start(argc, argv);
//   if (!mpi.ok()) return Fail(mpi.status());
//   options.parallel = {.shards = 8, .communicator = mpi->get()};
//
// Every rank then makes the same calls of Train, or compiles and runs equal plans.
// Rank 0 writes files and prints. Only programs that depend on this target link
// MPI. Tested by tests/distributed/mpi_test.cc.
#ifndef TAPE_FRAMEWORK_DISTRIBUTED_MPI_H_
#define TAPE_FRAMEWORK_DISTRIBUTED_MPI_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/distributed/communicator.h"

namespace tape {

class Mpi : public Communicator {
 public:
  // Starts MPI; a process that mpirun did not start is rank 0 of 1. To be called
  // once, before any thread is started; MPI ends with the object, or when the
  // process exits. Errors: MPI's.
  static absl::StatusOr<std::unique_ptr<Mpi>> Start(int& argc, char**& argv);
  ~Mpi() override;

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int Begin(const Exchange& exchange) override;
  bool IsDone(int ticket) override;
  // Prints the error with this rank and ends the processes of all ranks; does not
  // return.
  void Abort(const absl::Status& status) override;

  // "Open MPI v4.1.4, …".
  static std::string Version();

 private:
  struct Connection;  // MPI's own types.
  explicit Mpi(std::unique_ptr<Connection> connection);

  const std::unique_ptr<Connection> connection_;
  int rank_ = 0, size_ = 1;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DISTRIBUTED_MPI_H_
