// Package watch reads what benchmarks print of themselves: llama-bench's tables (JSON,
// JSON lines, CSV, Markdown) and the result of vLLM's serving benchmark (JSON, or its
// table of text). A [Reader] takes their output as it comes and tells of each [Test] when
// it is complete, and of the [Totals].
//
// Nothing that is printed is believed unchecked: counts that cannot be, times that do not
// agree with each other or with when the lines came, are not told, and [Reader.Doubts]
// says why.
package watch
