// The two functions of the OpenMP runtime that oneDNN uses, whose number of
// threads they set. They are declared here because <omp.h> belongs to the
// compiler: with clang's comes another runtime, which oneDNN knows nothing of.
#ifndef TAPE_OPS_OPENMP_H_
#define TAPE_OPS_OPENMP_H_

extern "C" {
// How many threads the calling thread's next parallel region may have.
int omp_get_max_threads();
void omp_set_num_threads(int threads);
}

#endif  // TAPE_OPS_OPENMP_H_
