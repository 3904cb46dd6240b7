// Package gguf reads and writes the header of GGUF model files: metadata and
// tensor table, never the weights. The format is described in
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
//
// The reader trusts nothing: every count, length, shape and offset is checked
// against the size of the file before memory is taken for it, and an error
// names the byte where reading stopped. [File.Validate] goes further and finds
// what llama.cpp would abort the process on rather than refuse.
package gguf
