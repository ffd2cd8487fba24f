// The version of Tape, as files say it that it writes.
#ifndef TAPE_FRAMEWORK_CORE_VERSION_H_
#define TAPE_FRAMEWORK_CORE_VERSION_H_

namespace tape {

inline constexpr char kVersion[] = "0.8";

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_VERSION_H_
