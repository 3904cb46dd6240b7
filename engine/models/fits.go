package models

// What inference takes beside weights and keys and values.
const (
	// contextMiB is what a CUDA context with its libraries takes; about 500 MiB on
	// an H100 with driver 580.
	contextMiB = 512
	// maxUbatch is the most tokens that engine/llama evaluates at once.
	maxUbatch = 2048
	// granule is what llama.cpp rounds a sequence's cells up to.
	granule = 256
)

// Fits estimates the memory (MiB) that f needs on a GPU for batch sequences of
// tokens each (prompt and output), and whether that is at most memMiB: weights,
// keys and values in 2-byte elements, the logits and widest activations of one
// pass in 4-byte ones, and a CUDA context. It leaves out what an architecture
// keeps beside them, so a near fit may fail. ok is false where f has a problem, or nobody knows
// whether it has one.
func Fits(f Found, memMiB float64, batch, tokens int) (needMiB float64, ok bool) {
	batch, tokens = max(batch, 1), max(tokens, 1)
	cells := float64((tokens + granule - 1) / granule * granule)
	ubatch := float64(min((batch*tokens+granule-1)/granule*granule, maxUbatch))
	bytes := float64(f.SizeBytes) +
		float64(batch)*cells*float64(f.kvBytes) +
		4*ubatch*float64(f.vocab+4*f.embd+2*f.wide)
	needMiB = bytes/(1<<20) + contextMiB
	return needMiB, f.Problem == "" && f.Unknown == "" && needMiB <= memMiB
}
