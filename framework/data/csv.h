// Data sets as comma-separated values, in two forms:
//
//   - images and labels in a file each, without headers: a row of the first is
//     an image, its grey levels in row-major order; a row of the second, a
//     label;
//   - labelled: one file, a header row ("label,1x1,1x2,...,28x28"), then rows
//     of a label and the grey levels after it.
//
// Values are whole numbers, however written: 7, 007, " 7", 7.0, 7.00e+00 (as
// np.savetxt writes). Lines end with LF or CRLF, the last one with either or
// nothing. A UTF-8 byte order mark is passed over. Quotes are refused, and so are
// other separators, UTF-16, and a row of column numbers in the place of an
// image, as pandas writes it.
//
// An error is an absl::Status of one short line that says the file, the row and
// the column, what was expected there and what was found. Rows and columns are
// counted from 1, as an editor or a spreadsheet does; the header is row 1.
// Tested by tests/data/csv_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_CSV_H_
#define TAPE_FRAMEWORK_DATA_CSV_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/data/dataset.h"

namespace tape {

// The data set of a file of images, which becomes uint8 [n, pixels], and one of
// labels, which become int32 [n]. The first row says how many pixels an image
// has: as many as a square, since a file with a stray column more, an index or
// a label, looks like one of larger images. `classes` is at least 1. Memory is
// in proportion to the files' sizes, whatever they hold. Errors: kNotFound if a
// file is missing; kInvalidArgument if one is no regular file, is empty, has a
// blank line or a row of another length, the images are not square, the counts
// differ, or a value is not a whole number in 0 to 255, of a label in 0 to
// classes - 1; otherwise what the system said.
absl::StatusOr<Dataset> ReadCsvDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes);

// The same of one file that has labels and images. The header says how many
// columns there are; its first name must be one of labels ("label", "labels",
// "class", "classes", "target", "digit", "y"), so that a file without a header,
// and one with the labels elsewhere, is refused. Errors are as above.
absl::StatusOr<Dataset> ReadLabelledCsvDataset(const std::string& path,
                                               int classes);

// The images alone, of either form: uint8 [n, pixels]. There may be a header,
// known by a first name that is no number; and a label before each image, known
// by the number of columns being one more than a square's, and in the header,
// if there is one, by its name. It may be any whole number in 0 to 255, and is
// passed over. Errors are as above.
absl::StatusOr<Tensor> ReadCsvImages(const std::string& path);

// Write new files that the readers above make the same data set of. Lines end
// with LF. Errors: kInvalidArgument if the images are not square (SquareSide);
// otherwise the system's, kAlreadyExists for one if a path is taken. After an
// error of the second file the first one is there.
absl::Status WriteCsvDataset(const Dataset& dataset,
                             const std::string& images_path,
                             const std::string& labels_path);
absl::Status WriteLabelledCsvDataset(const Dataset& dataset,
                                     const std::string& path);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_CSV_H_
