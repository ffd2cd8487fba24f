// A run for TensorBoard: its scalars, in a file of TensorFlow's records. A
// record is
//
//   8 bytes  the length of its data, little-endian, as all numbers here
//   4 bytes  the masked CRC-32C of these 8 bytes
//   ...      the data: a message Event of event.proto, in protobuf's encoding
//   4 bytes  the masked CRC-32C of the data
//
// (tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto).
// Tested by tests/event_file_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_EVENT_FILE_H_
#define TAPE_FRAMEWORK_TRAIN_EVENT_FILE_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/train/epoch_log.h"
#include "framework/train/metrics.h"

namespace tape {

inline constexpr absl::string_view kEventFilePrefix = "events.out.tfevents.";

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

// The event file of `folder`: the last one by name that is there, for a run
// that is continued; else a new "events.out.tfevents.<seconds>.<host>". For a
// new run in a folder that others' event files may be in, ask NewEventFileLog.
// Errors: the system's if the folder cannot be listed.
absl::StatusOr<EpochLog> EventFileLog(
    const std::string& folder,
    std::function<double()> clock = SecondsSince1970);
EpochLog NewEventFileLog(const std::string& folder,
                         std::function<double()> clock = SecondsSince1970);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_EVENT_FILE_H_
