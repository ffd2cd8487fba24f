// The graph of a model as a drawing that people read. (Graph::Graphviz is the
// whole tape, for those who look for a node.) Tested by
// tests/report/graph_picture_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_GRAPH_PICTURE_H_
#define TAPE_FRAMEWORK_REPORT_GRAPH_PICTURE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/report/plot.h"

namespace tape {

// What a graph is drawn for: {"loss", loss}.
struct GraphResult {
  std::string name;
  Var var;
};

// What `results` are computed from, and nothing else of their graph.
//
// Ops that follow each other, where nobody else reads what lies between, are
// one box with a line each and the shape of what it gives; a box begins with an
// op that brings variables in, as a product does. The variables that a box
// reads stand beside it in a small box, by name and shape. Constants stand in
// the line of the op that reads them, "Mul(·, 0.003922)"; changes of shape
// alone are left out where there is something else to say. What Gradients
// declared is dashed.
//
// The rects or paths of the boxes have the classes "op" and "source", those of
// arrows "edge". Laid out by Graphviz, which is not to be called from two
// threads at once. Errors: no results; one that is not valid; results of
// several graphs; more than 500 boxes, which nobody could read; Graphviz
// missing (shared_library.h).
absl::StatusOr<Figure> MakeGraphPicture(absl::Span<const GraphResult> results);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_GRAPH_PICTURE_H_
