// A run for TensorBoard: its scalars, in a file of TensorFlow's records. A
// record is
//
//   8 bytes  the length of its data, little-endian, as all numbers here
//   4 bytes  the masked CRC-32C of these 8 bytes
//   ...      the data: a message Event of event.proto, in protobuf's encoding
//   4 bytes  the masked CRC-32C of the data
//
// (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
// Tested by tests/log/event_file_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_EVENT_FILE_H_
#define TAPE_FRAMEWORK_LOG_EVENT_FILE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/log/epoch_log.h"
#include "framework/metrics/metrics.h"

namespace tape {

// Whether a file of this name is one that a run writes:
// "events.out.tfevents.<seconds>.<host>.tape", and not another program's.
bool IsEventFile(absl::string_view name);

// The record that tells readers to forget what they have of `epoch` and later
// ones: the run makes these again.
std::string RestartRecord(int epoch, double time);

// The record an event file begins with: the version of the format. Times are in
// seconds since 1970.
std::string VersionRecord(double time);

// The record of an epoch that ended at `time`: the epoch is the step, and its
// scalars, as float32, have the tags "loss/train", "accuracy/train",
// "seconds/train" (and the same of "validation", if there was one, and of
// "test"), "learning_rate", and the reports' names; a name that is taken is
// made another by a number ("zeros_2"). Loss, accuracy and reports stand as
// they are, NaN too; learning rate and seconds are left out if nobody measured
// them.
std::string EpochRecord(const EpochResult& epoch, double time);

// A new event file in `folder`, whose name sorts after those of earlier ones; no
// other file is touched. TensorBoard reads all event files of a folder as one
// run, so a run that is resumed adds a file to those that it has. Errors: the
// system's if the folder cannot be listed.
absl::StatusOr<EpochLog> EventFileLog(
    const std::string& folder,
    std::function<double()> clock = SecondsSince1970);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_EVENT_FILE_H_
