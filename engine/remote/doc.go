// Package remote runs jobs on a server that is already there: any
// OpenAI-compatible endpoint (vLLM, llama-server, SGLang, Ollama, …), behind
// [engine.Backend].
//
// A generation streams. All that is seen of it is when bytes come, so:
//
//   - Prefill is from the request to its first token. Waiting in the server's
//     queue and the network are in it.
//   - Decode is from there to its last token.
//   - A batch is that many requests at once. With more than one they overlap in
//     different phases, so the batch is one phase, mixed.
//   - Token counts are the server's (usage), where it gives them; else the chunks
//     of the stream are counted, and Options.Warn says so. So they are where the
//     counts cannot be.
//
// Answer options are scored by the log-likelihoods of an echoed prompt
// (completions with echo and logprobs), which vLLM and SGLang give; where a
// server does not, the request fails and says so. The whole batch is one phase,
// score: the server evaluates prompt and options in one.
//
// A request that is refused for the moment (429, 5xx, no connection) is tried
// again with growing pauses, and starts anew at each try: pauses are in no
// phase of a single request. A stream that breaks off, stalls or makes no sense
// fails its request with what was received; it is never repeated. One that has
// given a finish_reason is whole, however it ends.
//
// The key is taken from the environment, sent to the server alone, unencrypted
// only within this network, and kept out of every error and name. An address
// without a scheme is https, but for this network's.
package remote
