package datasets

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"jouletop/workloads"
)

// adapter turns the rows of one dataset into queries.
type adapter struct {
	style workloads.Style
	// matches tells whether a row with these fields can be of this dataset: the
	// fields that set it apart are there, whatever their values.
	matches func(r row) bool
	// query reads a row; id is the dataset's own id, empty where it has none.
	query func(r row) (q workloads.Query, id string, err error)
	// columns of a Parquet file that query looks at; the others, whole books in
	// NarrativeQA's case, are never read.
	columns []string
}

// The names that published files use for the same thing, the official one
// first: JSONL and CSV as published, then the hub's columns.
var (
	storyFields    = []string{"passage", "summary", "document.summary.text"}
	askFields      = []string{"question", "question.text"}
	storyAnswers   = []string{"answer", "answers", "answers.text"}
	idFields       = []string{"id", "idx"}
	truthBest      = []string{"best_answer"}
	truthCorrect   = []string{"correct_answers"}
	customAnswers  = []string{"answers", "answer", "completion", "response"}
	yesNoFields    = []string{"answer", "label"}
	qapsFields     = []string{"document_id", "question", "answer1", "answer2"}
	summaryColumns = []string{"document_id", "summary"}
)

// adapters in the order in which they are tried: the most specific fields
// first.
var adapters = []adapter{
	{workloads.HellaSwag, func(r row) bool { return r.has("endings") }, hellaSwag,
		[]string{"ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings", "source_id", "label"}},
	{workloads.Custom, func(r row) bool { return r.has("prompt") }, custom,
		[]string{"prompt", "answers", "options", "answer", "completion", "response", "id", "length_normalised"}},
	{workloads.TruthfulQA, func(r row) bool { return r.has("best_answer", "correct_answers") }, truthfulQA,
		[]string{"question", "best_answer", "correct_answers", "id", "idx"}},
	{workloads.NarrativeQA, isNarrativeQA, narrativeQA,
		slices.Concat(storyFields, askFields, storyAnswers, []string{"answer1", "answer2", "id", "idx"})},
	{workloads.BoolQ, func(r row) bool { return r.has("passage") && r.has("question") }, boolQ,
		[]string{"question", "passage", "answer", "label", "id", "idx"}},
}

// adapterFor returns the index in adapters of the dataset that a row's fields
// belong to.
func adapterFor(r row) (index int, err error) {
	for i, a := range adapters {
		if a.matches(r) {
			return i, nil
		}
	}
	names := slices.Sorted(maps.Keys(r.fields))
	const most = 12
	if len(names) > most {
		names = append(names[:most], "…")
	}
	return 0, fmt.Errorf("%w: the fields %s are those of no known dataset "+
		"(BoolQ: question, passage, answer; HellaSwag: ctx, endings, label; "+
		"TruthfulQA: question, best_answer, correct_answers; NarrativeQA: question, passage, answer list; "+
		"your own: prompt, answers or completion)", ErrFormat, clipTo(strings.Join(names, ", "), 120))
}

func boolQ(r row) (q workloads.Query, id string, err error) {
	question, err1 := r.text("question")
	passage, err2 := r.text("passage")
	var yes bool
	var err3 error
	if n, err := r.integer("label"); err == nil && !r.has("answer") && (n == 0 || n == 1) {
		yes = n == 1 // as exports of SuperGLUE have it
	} else {
		yes, err3 = r.boolean(yesNoFields...)
	}
	id, err4 := r.id()
	if err := first(err1, err2, err3, err4); err != nil {
		return q, "", err
	}
	return workloads.AskBoolQ(question, passage, yes), id, nil
}

func hellaSwag(r row) (q workloads.Query, id string, err error) {
	activity, err1 := r.mayBeEmpty("activity_label")
	ctxA, err2 := r.mayBeEmpty("ctx_a")
	ctxB, err3 := r.mayBeEmpty("ctx_b")
	if strings.TrimSpace(ctxA) == "" { // the whole context is in "ctx" too
		ctxA, err2 = r.text("ctx")
		ctxB, err3 = "", nil
	}
	endings, err4 := r.texts("endings")
	label, err5 := r.integer("label")
	if err := first(err1, err2, err3, err4, err5); err != nil {
		return q, "", err
	}
	if len(endings) != 4 {
		return q, "", fmt.Errorf("field \"endings\" has %d items, not 4", len(endings))
	}
	if label < 0 || label > 3 {
		return q, "", fmt.Errorf("field \"label\" is %d, not 0 to 3", label)
	}
	q = workloads.AskHellaSwag(activity, ctxA, ctxB, endings, label)
	if q.Prompt == "" || slices.Contains(q.Options, " ") {
		return q, "", errors.New("nothing is left of the context or an ending without its [marks]")
	}
	// ind counts ActivityNet's and WikiHow's rows apart.
	if ind, err := r.integer("ind"); err == nil {
		id = strconv.Itoa(ind)
		if source, _ := r.optional("source_id"); source != "" {
			first, _ := utf8.DecodeRuneInString(source)
			id = string(first) + id
		}
	}
	return q, id, nil
}

func truthfulQA(r row) (q workloads.Query, id string, err error) {
	question, err1 := r.text("question")
	best, err2 := r.text(truthBest...)
	correct, err3 := r.answers(true, truthCorrect...)
	id, err4 := r.id()
	if err := first(err1, err2, err3, err4); err != nil {
		return q, "", err
	}
	return workloads.AskTruthfulQA(question, distinct(best, correct...)), id, nil
}

// isNarrativeQA: a question about a story, with a list of answers where BoolQ
// has a boolean.
func isNarrativeQA(r row) bool {
	if !r.has(storyFields...) || !r.has(askFields...) {
		return false
	}
	if r.has("document.summary.text", "summary", "answer1", "answers", "answers.text") {
		return true
	}
	switch v := r.fields["answer"].(type) {
	case []any:
		return true
	case string:
		return !isBoolean(v)
	}
	return false
}

func narrativeAdapter() adapter {
	return adapters[slices.IndexFunc(adapters, func(a adapter) bool { return a.style == workloads.NarrativeQA })]
}

func isBoolean(s string) bool {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "false", "yes", "no", "0", "1", "":
		return true
	}
	return false
}

func narrativeQA(r row) (q workloads.Query, id string, err error) {
	question, err1 := r.text(askFields...)
	summary, err2 := r.text(storyFields...)
	var answers []string
	var err3 error
	if r.has("answer1") {
		var one, two string
		one, err3 = r.mayBeEmpty("answer1")
		if two, _ = r.optional("answer2"); err3 == nil {
			answers = distinct(one, two)
		}
		if err3 == nil && len(answers) == 0 {
			err3 = errors.New("fields \"answer1\" and \"answer2\" are empty")
		}
	} else {
		answers, err3 = r.answers(false, storyAnswers...)
	}
	id, err4 := r.id()
	if err := first(err1, err2, err3, err4); err != nil {
		return q, "", err
	}
	return workloads.AskNarrativeQA(question, summary, answers), id, nil
}

// customAnswers returns what the answers to one's own prompt may be: none where
// no field for them has something in it. A number is an answer as it is written.
func (r row) customAnswers() ([]string, error) {
	for _, name := range customAnswers {
		v, ok := r.fields[name]
		if !ok || v == nil || isEmptyList(v) {
			continue
		}
		switch n := v.(type) {
		case json.Number, int64, float64:
			return []string{fmt.Sprint(n)}, nil
		}
		return r.answers(true, name)
	}
	return nil, nil
}

// custom reads one's own prompts: "prompt", and "answers", "answer", "completion"
// or "response" (a text or a list, may be missing), or "options" with "answer"
// (the right one's index, from 0, or its text); optionally "id" and, with options, "length_normalised".
func custom(r row) (q workloads.Query, id string, err error) {
	prompt, err1 := r.text("prompt")
	id, err2 := r.id()
	if err := first(err1, err2); err != nil {
		return q, "", err
	}
	if !r.has("options") {
		answers, err := r.customAnswers()
		return workloads.AskCustom(prompt, answers), id, err
	}
	options, err := r.texts("options")
	if err != nil {
		return q, "", err
	}
	if len(options) < 2 {
		return q, "", errors.New("field \"options\" has 1 item; at least 2 are needed")
	}
	right, err := r.integer("answer")
	if s, ok := r.fields["answer"].(string); ok {
		if i := slices.Index(options, strings.TrimSpace(s)); i >= 0 {
			right, err = i, nil
		}
	}
	if err != nil {
		return q, "", err
	}
	if right < 0 || right >= len(options) {
		return q, "", fmt.Errorf("field \"answer\" is %d, not 0 to %d", right, len(options)-1)
	}
	q = workloads.AskCustomChoice(prompt, options, right)
	if r.has("length_normalised") {
		if q.LengthNormalised, err = r.boolean("length_normalised"); err != nil {
			return q, "", err
		}
	}
	return q, id, nil
}

// id returns the row's own id, a text or a whole number; empty where it has
// none.
func (r row) id() (string, error) {
	n, v, err := r.lookup(idFields)
	if err != nil {
		return "", nil
	}
	if s, ok := v.(string); ok {
		if r.untyped && s == "" {
			return "", nil
		}
		return strings.TrimSpace(s), checkID(n, s)
	}
	i, err := r.integer(n)
	return strconv.Itoa(i), err
}

func checkID(name, s string) error {
	if len(s) > 200 {
		return fmt.Errorf("field %q has %d bytes, more than the 200 that an id may have", name, len(s))
	}
	return checkText(name, s)
}

func isEmptyList(v any) bool {
	l, ok := v.([]any)
	return ok && len(l) == 0 || v == ""
}

// distinct lists first and rest without empty texts and repetitions.
func distinct(first string, rest ...string) []string {
	var out []string
	for _, s := range append([]string{first}, rest...) {
		if s = strings.TrimSpace(s); s != "" && !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
