package workloads

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The prompts below follow the wording that EleutherAI's lm-evaluation-harness
// uses for the same tasks, zero-shot, without its few-shot primers:
//
//	boolq        PASSAGE\nQuestion: QUESTION?\nAnswer:          options " no", " yes"
//	hellaswag    ACTIVITY: CONTEXT                              options " ENDING" × 4
//	truthfulqa   Q: QUESTION\nA:                                free answer
//	narrativeqa  SUMMARY\n\nQuestion: QUESTION\nAnswer:         free answer
//	custom       the prompt as it stands                        either
//
// An option carries the space that joins it to the prompt.

// AskBoolQ words a yes/no question about a passage. Option 0 is " no", option 1
// " yes". Text is question and passage, Question the question.
func AskBoolQ(question, passage string, yes bool) Query {
	question, passage = strings.TrimSpace(question), strings.TrimSpace(passage)
	asked := strings.TrimRight(question, "? ") + "?"
	answer := 0
	if yes {
		answer = 1
	}
	return Query{
		Style:    BoolQ,
		Prompt:   passage + "\nQuestion: " + asked + "\nAnswer:",
		Options:  []string{" no", " yes"},
		Answer:   answer,
		Text:     question + "\n" + passage,
		Question: question,
	}
}

// AskHellaSwag words the choice of the most plausible ending. ctxA and ctxB are
// the two halves of the context: what is known, and how the next sentence
// begins (empty in the rows from WikiHow). Options are compared per byte of
// their length, as the benchmark's normalised accuracy does; clear
// LengthNormalised for the plain log-likelihood. Text is the context and the
// endings, Question the context.
func AskHellaSwag(activity, ctxA, ctxB string, endings []string, right int) Query {
	ctx := strings.TrimSpace(ctxA + " " + capitalise(ctxB))
	if activity = strings.TrimSpace(activity); activity != "" {
		ctx = activity + ": " + ctx
	}
	q := Query{
		Style:            HellaSwag,
		Prompt:           unbracket(ctx),
		Answer:           right,
		LengthNormalised: true,
	}
	text := []string{q.Prompt}
	for _, e := range endings {
		e = unbracket(e)
		q.Options = append(q.Options, " "+e)
		text = append(text, e)
	}
	q.Text = strings.Join(text, "\n")
	q.Question = q.Prompt
	return q
}

// AskTruthfulQA words a free question; answers are the answers that count as
// true.
func AskTruthfulQA(question string, answers []string) Query {
	question = strings.TrimSpace(question)
	return Query{
		Style:    TruthfulQA,
		Prompt:   "Q: " + question + "\nA:",
		Answer:   -1,
		Answers:  answers,
		Text:     question,
		Question: question,
	}
}

// AskNarrativeQA words a question about a story's summary. Text is question and
// summary, Question the question.
func AskNarrativeQA(question, summary string, answers []string) Query {
	question, summary = strings.TrimSpace(question), strings.TrimSpace(summary)
	return Query{
		Style:    NarrativeQA,
		Prompt:   summary + "\n\nQuestion: " + question + "\nAnswer:",
		Answer:   -1,
		Answers:  answers,
		Text:     question + "\n" + summary,
		Question: question,
	}
}

// AskCustom hands a prompt of one's own to the model as it stands, for a free
// answer judged by answers (none: not judged).
func AskCustom(prompt string, answers []string) Query {
	return Query{
		Style:    Custom,
		Prompt:   prompt,
		Answer:   -1,
		Answers:  answers,
		Text:     strings.TrimSpace(prompt),
		Question: strings.TrimSpace(prompt),
	}
}

// AskCustomChoice is AskCustom answered by log-likelihood. An option that does
// not begin with white space is joined to the prompt by a space, unless the
// prompt ends with white space.
func AskCustomChoice(prompt string, options []string, right int) Query {
	q := AskCustom(prompt, nil)
	q.Answer = right
	last, _ := utf8.DecodeLastRuneInString(prompt)
	for _, o := range options {
		first, _ := utf8.DecodeRuneInString(o)
		if !unicode.IsSpace(first) && !unicode.IsSpace(last) {
			o = " " + o
		}
		q.Options = append(q.Options, o)
	}
	return q
}

// capitalise makes the first letter a capital and the others small, as the
// harness does with the second half of a HellaSwag context.
func capitalise(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	if n == 0 {
		return ""
	}
	return string(unicode.ToTitle(first)) + strings.ToLower(s[n:])
}

var (
	bracketed = regexp.MustCompile(`\[[^\]\n]*\]`)
	spaces    = regexp.MustCompile(` {2,}`)
)

// unbracket removes the marks that WikiHow pages left in HellaSwag's rows:
// " [title]" ends a sentence, "[header]", "[step]", "[substeps]" and the like
// go.
func unbracket(s string) string {
	s = strings.ReplaceAll(s, " [title]", ". ")
	s = bracketed.ReplaceAllString(s, "")
	return strings.TrimSpace(spaces.ReplaceAllString(s, " "))
}
