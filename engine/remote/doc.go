// Package remote runs jobs on a server that is already there: any
// OpenAI-compatible endpoint (vLLM, llama-server, SGLang, Ollama, …), behind
// [engine.Backend].
//
// A generation streams, and all that is seen of it is when bytes come. A stream
// that succeeded is not yet a measurement, so what it held is judged when it is
// over:
//
//   - Prefill and decode are the server's own where it tells them (llama-server's
//     timings). Else prefill is from the request to its first token, with what it
//     waited in the server's queue, and decode from there to its last. Where
//     tokens were hidden, held back or came in bursts nobody knows when the
//     prefill ended: the request is one phase, mixed, and flagged.
//   - A batch is that many requests at once. With more than one they overlap in
//     different phases, so the batch is one phase, mixed. Where some waited at the
//     server until others had ended, it was no batch of its size, and is flagged.
//   - Requests that are sent as they come ([Backend.Send]) are told of as they are
//     answered: what a stream says of how the prompt comes forward and of how many tokens
//     were made (llama-server's prompt_progress and timings, usage with each chunk of vLLM
//     and SGLang), as far as that can be. The engine puts passes together from it.
//   - Whatever stands still in the middle of a text (a server that halts, a proxy, this
//     machine) is in its joules, and flagged. So is an answer that is another model's
//     by the server's own word, and one of which a cache gave a part.
//   - Token counts are the server's (usage), as far as they can be; else its
//     tokenizer's (/tokenize), or concluded from what came; else unknown.
//   - Only an end by itself or by max_tokens is success. Text that was thought
//     aloud is generated, and no part of the answer.
//
// Servers keep the beginnings of prompts and compute them once. So each request
// begins with a line of its own (a nonce), unless Options.KeepCache; what was
// cached all the same is in [engine.Result.CachedTokens], and flagged.
//
// Answer options are scored by the log-likelihoods of an echoed prompt
// (completions with echo and logprobs), which vLLM and SGLang give; where a
// server does not, the batch fails and says so. The whole batch is one phase,
// score: the server evaluates prompt and options in one.
//
// A request that is refused for the moment (429, 5xx, no connection) is tried
// again with growing pauses, and starts anew at each try: refused tries and
// pauses are in no request. A warm-up waits for minutes for a server that loads
// its model. A stream that breaks off, stalls or makes no sense fails its request
// with what was received; it is never repeated. One that has given a
// finish_reason is whole, however it ends. What is read is bounded by what was
// asked for.
//
// The key is taken from the environment, sent to the server alone, unencrypted
// only within this network, and kept out of every error and name. An address
// without a scheme is https, but for this network's.
package remote
