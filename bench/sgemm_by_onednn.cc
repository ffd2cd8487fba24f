// BLAS's sgemm by oneDNN's, as a library to be preloaded: libtorch then has the
// products that we have, and what is left is its own cost.
#include <oneapi/dnnl/dnnl.h>

#include <cstdio>

// The Fortran interface: matrices are column-major, so that C = A B is what
// oneDNN, row-major, calls C^T = B^T A^T.
extern "C" void sgemm_(const char* transpose_a, const char* transpose_b,
                       const int* m, const int* n, const int* k,
                       const float* alpha, const float* a, const int* lda,
                       const float* b, const int* ldb, const float* beta,
                       float* c, const int* ldc) {
  const auto flag = [](char transpose) {
    return transpose == 'n' || transpose == 'N' ? 'N' : 'T';
  };
  dnnl_sgemm(flag(*transpose_b), flag(*transpose_a), *n, *m, *k, *alpha, b,
             *ldb, a, *lda, *beta, c, *ldc);
}

// Returns the name and version of the library that computes the products, which the
// programs print (rounds.h).
extern "C" const char* sgemm_library() {
  static char name[64];
  const dnnl_version_t* const version = dnnl_version();
  std::snprintf(name, sizeof(name), "oneDNN %d.%d.%d", version->major,
                version->minor, version->patch);
  return name;
}
