// Package datasets reads queries from the files in which BoolQ, HellaSwag,
// TruthfulQA (generation) and NarrativeQA are published, from one's own JSONL,
// and from the built-in sets of the same four styles.
//
//	spec, err := datasets.ParseSpec("boolq=dev.jsonl")
//	queries, report, err := datasets.Load(spec, 100, false)
//
// or, one query at a time in memory that does not grow with the file,
// [Open], [Source.Next] until io.EOF, [Source.Close].
//
// Format (JSONL, CSV, Parquet) and dataset are told from the content, by magic
// bytes and the names of fields or columns; the file's name plays no part but
// for NarrativeQA's pair, whose other half is looked for beside the given one
// as qaps.csv or summaries.csv. Each dataset is taken in its original fields
// and in those of the Hugging Face hub, whatever the format:
//
//	BoolQ        question, passage, answer (or label)
//	HellaSwag    activity_label, ctx_a, ctx_b, ctx, endings, label, ind
//	TruthfulQA   Question, Best Answer, Correct Answers (or question, best_answer, …)
//	NarrativeQA  question, passage (or summary), answer list; the CSV pair;
//	             document.summary.text, question.text, answers[].text
//	custom       prompt, answers, answer or completion (text or list, may be
//	             missing); or prompt,
//	             options, answer (index from 0, or the option's text),
//	             length_normalised; id where there is one
//
// A list may be written as text, as programs without lists in their files do (see
// textlist.go), and a boolean too; empty answers are left out. A file is regular,
// or a link to one, and no larger than 4 GiB.
//
// A row that cannot be used (a field missing, of the wrong type or empty, a
// text above [MaxText], invalid UTF-8, torn JSON or CSV, an id used before) is a
// [*RowError] naming file and line; the reader may go on behind it.
package datasets
