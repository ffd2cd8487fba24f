// Matrices of doubles in plain loops: enough of NumPy to write a document's
// code down again, as a second opinion on the models' updates.
#ifndef TAPE_TESTS_MODELS_MATRIX_H_
#define TAPE_TESTS_MODELS_MATRIX_H_

#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "framework/core/check.h"

namespace tape {

class Matrix {
 public:
  Matrix() = default;
  // `values` are row-major; all zeros without.
  Matrix(int64_t rows, int64_t columns)
      : rows_(rows), columns_(columns), values_(rows * columns) {}
  Matrix(int64_t rows, int64_t columns, std::vector<double> values)
      : rows_(rows), columns_(columns), values_(std::move(values)) {
    TAPE_CHECK_EQ(rows * columns, static_cast<int64_t>(values_.size()));
  }

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  const std::vector<double>& values() const { return values_; }
  double& operator()(int64_t row, int64_t column) {
    return values_[row * columns_ + column];
  }
  double operator()(int64_t row, int64_t column) const {
    return values_[row * columns_ + column];
  }

  // Transposed.
  Matrix T() const {
    Matrix y(columns_, rows_);
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = 0; j < columns_; ++j) y(j, i) = (*this)(i, j);
    }
    return y;
  }

 private:
  int64_t rows_ = 0, columns_ = 0;
  std::vector<double> values_;
};

// f of each element.
template <typename F>
Matrix Map(const Matrix& x, F f) {
  Matrix y = x;
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t j = 0; j < x.columns(); ++j) y(i, j) = f(x(i, j));
  }
  return y;
}

// f of each element of x and its partner in y, which may be one row for all
// rows of x, one column for all its columns, or one number for all.
template <typename F>
Matrix Zip(const Matrix& x, const Matrix& y, F f) {
  TAPE_CHECK(y.rows() == x.rows() || y.rows() == 1);
  TAPE_CHECK(y.columns() == x.columns() || y.columns() == 1);
  Matrix z = x;
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t j = 0; j < x.columns(); ++j) {
      z(i, j) = f(x(i, j), y(y.rows() == 1 ? 0 : i, y.columns() == 1 ? 0 : j));
    }
  }
  return z;
}

inline Matrix operator+(const Matrix& x, const Matrix& y) {
  return Zip(x, y, [](double a, double b) { return a + b; });
}
inline Matrix operator-(const Matrix& x, const Matrix& y) {
  return Zip(x, y, [](double a, double b) { return a - b; });
}
inline Matrix operator*(const Matrix& x, const Matrix& y) {
  return Zip(x, y, [](double a, double b) { return a * b; });
}
inline Matrix operator/(const Matrix& x, const Matrix& y) {
  return Zip(x, y, [](double a, double b) { return a / b; });
}
inline Matrix operator*(double a, const Matrix& x) {
  return Map(x, [a](double b) { return a * b; });
}

// The product of matrices.
inline Matrix Dot(const Matrix& x, const Matrix& y) {
  TAPE_CHECK_EQ(x.columns(), y.rows());
  Matrix z(x.rows(), y.columns());
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t k = 0; k < x.columns(); ++k) {
      for (int64_t j = 0; j < y.columns(); ++j) z(i, j) += x(i, k) * y(k, j);
    }
  }
  return z;
}

// The sums of the columns: a row; and of the rows: a column.
inline Matrix SumOfRows(const Matrix& x) {
  Matrix y(1, x.columns());
  for (int64_t i = 0; i < x.rows(); ++i) {
    for (int64_t j = 0; j < x.columns(); ++j) y(0, j) += x(i, j);
  }
  return y;
}
inline Matrix SumOfColumns(const Matrix& x) { return SumOfRows(x.T()).T(); }

// The largest magnitude; NaN if an element is NaN.
inline double MaxAbs(const Matrix& x) {
  double most = 0;
  for (double value : x.values()) {
    if (!(std::fabs(value) <= most)) most = std::fabs(value);
    if (std::isnan(value)) return value;
  }
  return most;
}

// Of each row, or sample.
inline Matrix SoftmaxOfRows(const Matrix& x) {
  const Matrix e = Map(x, [](double a) { return std::exp(a); });
  return e / SumOfColumns(e);
}

}  // namespace tape

#endif  // TAPE_TESTS_MODELS_MATRIX_H_
