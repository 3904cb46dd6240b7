package workloads

import (
	"strings"
	"unicode"
)

// Overlap is how much of two token sequences agrees; every figure is 0 to 1.
type Overlap struct {
	Precision float64 // share of the candidate's tokens
	Recall    float64 // share of the reference's tokens
	F1        float64 // harmonic mean of the two
}

// ROUGEL is the ROUGE-L score of a candidate text against the reference it
// fits best, by F1 (the first of equals), as Google's rouge_score package
// (RougeScorer(["rougeL"], use_stemmer=stem).score_multi) computes it: both
// texts as [RougeTokens], their longest common subsequence L, precision L/|c|,
// recall L/|r|, F1 = 2PR/(P+R). It is zero when either side has no token or
// there are no references. After C.-Y. Lin, "ROUGE: A Package for Automatic
// Evaluation of Summaries", ACL 2004, with the β = 1 of that package.
func ROUGEL(candidate string, references []string, stem bool) Overlap {
	c := RougeTokens(candidate, stem)
	var best Overlap
	for _, ref := range references {
		if o := overlap(c, RougeTokens(ref, stem)); o.F1 > best.F1 {
			best = o
		}
	}
	return best
}

func overlap(c, r []string) Overlap {
	l := float64(lcs(c, r))
	if l == 0 {
		return Overlap{}
	}
	p, rec := l/float64(len(c)), l/float64(len(r))
	return Overlap{Precision: p, Recall: rec, F1: 2 * p * rec / (p + rec)}
}

// lcs is the length of the longest common subsequence, in time |a|·|b| and
// memory |b|.
func lcs(a, b []string) int {
	row := make([]int, len(b)+1)
	for _, x := range a {
		diagonal := 0
		for j, y := range b {
			above := row[j+1]
			switch {
			case x == y:
				row[j+1] = diagonal + 1
			case row[j] > above:
				row[j+1] = row[j]
			}
			diagonal = above
		}
	}
	return row[len(b)]
}

// RougeTokens splits a text as rouge_score's default tokenizer does: lower
// case, runs of a-z and 0-9 are tokens and everything else separates them. With
// stem, tokens longer than three letters are reduced by [PorterStem].
func RougeTokens(text string, stem bool) []string {
	var tokens []string
	var word strings.Builder
	flush := func() {
		if word.Len() == 0 {
			return
		}
		t := word.String()
		word.Reset()
		if stem && len(t) > 3 {
			t = PorterStem(t)
		}
		tokens = append(tokens, t)
	}
	for _, r := range text {
		lower := unicode.ToLower(r)
		if lower >= 'a' && lower <= 'z' || lower >= '0' && lower <= '9' {
			word.WriteRune(lower)
		} else {
			flush()
		}
		// Full lower-casing makes İ an i and a combining dot, which separates.
		if r == 'İ' {
			flush()
		}
	}
	flush()
	return tokens
}
