// Which vector instructions machine code made at run time may use.
#ifndef TAPE_FRAMEWORK_CORE_PROCESSOR_H_
#define TAPE_FRAMEWORK_CORE_PROCESSOR_H_

namespace tape {

enum class VectorInstructions { kNone, kAvx2, kAvx512 };

// The best of this processor, as far as Highway may use them: a program that limits
// Highway limits machine code too.
VectorInstructions BestVectorInstructions();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_PROCESSOR_H_
