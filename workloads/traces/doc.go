// Package traces reads public traces of requests to language models as a stream,
// a row a request: when it came, how many tokens it had, how many were generated.
// A [Reader] knows a file by its first line:
//
//   - the Azure LLM inference traces of 2023 and 2024 (CSV: TIMESTAMP,
//     ContextTokens, GeneratedTokens; Patel et al., Splitwise, ISCA 2024; Stojkovic
//     et al., DynamoLLM, HPCA 2025);
//   - BurstGPT (CSV: Timestamp in s, Model, Request tokens, Response tokens, Total
//     tokens, Log Type; Wang et al., 2024), with whatever other columns;
//   - Mooncake (a JSON object a line: timestamp in ms, input_length, output_length;
//     Qin et al., FAST 2025).
//
// Rows come in the order of time. A file is never held in memory.
package traces
