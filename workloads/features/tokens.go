package features

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/jdkato/prose/v3/token"
)

// tokenize splits a text into words and punctuation marks after the Penn
// Treebank's conventions, which the tagger was trained on: brackets, quotation
// marks and final punctuation stand alone, "don't" is "do" and "n't", "it's"
// is "it" and "'s"; abbreviations and hyphenated words stay whole. Time is
// linear in the text whatever it holds, which the tagger's own tokenizer does
// not promise for a long run without spaces.
func tokenize(text string) []token.Token {
	tokens := make([]token.Token, 0, len(text)/5+2)
	start := -1
	for i, r := range text {
		switch {
		case unicode.IsSpace(r):
			if start >= 0 {
				tokens = splitSpan(tokens, text, start, i)
				start = -1
			}
		case start < 0:
			start = i
		}
	}
	if start >= 0 {
		tokens = splitSpan(tokens, text, start, len(text))
	}
	return tokens
}

// splitSpan appends the tokens of text[i:j], which holds no white space.
func splitSpan(tokens []token.Token, text string, i, j int) []token.Token {
	add := func(a, b int) {
		if a < b {
			tokens = append(tokens, token.Token{Text: text[a:b], Start: a})
		}
	}
	// Opening marks, each a token.
	for i < j {
		r, n := utf8.DecodeRuneInString(text[i:j])
		if !strings.ContainsRune("([{<\"'`“‘«$£€#*", r) || startsContraction(text[i:j]) {
			break
		}
		if strings.HasPrefix(text[i:j], "``") {
			n = 2
		}
		add(i, i+n)
		i += n
	}
	// Closing marks: found from the end, appended last.
	k := j
	for k > i {
		r, n := utf8.DecodeLastRuneInString(text[i:k])
		if !strings.ContainsRune(",;:!?.)]}>\"'”’»…%*", r) {
			break
		}
		if r == '.' && isAbbreviation(text[i:k]) {
			break
		}
		k -= n
	}
	splitWord(text, i, k, add)
	for k < j {
		n := markLen(text[k:j])
		add(k, k+n)
		k += n
	}
	return tokens
}

// markLen is the length of the first closing mark: "..." and "”" are one.
func markLen(s string) int {
	if strings.HasPrefix(s, "''") {
		return 2
	}
	if n := len(s) - len(strings.TrimLeft(s[:min(len(s), 64)], ".")) - max(0, len(s)-64); n > 1 {
		return n
	}
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// splitWord cuts a word at dashes and at its contraction.
func splitWord(text string, i, j int, add func(a, b int)) {
	from := i
	for k := i; k < j; {
		n := 1
		switch {
		case strings.HasPrefix(text[k:j], "--"):
			n = 2
		case strings.HasPrefix(text[k:j], "—"), strings.HasPrefix(text[k:j], "–"):
			n = len("—")
		default:
			k++
			continue
		}
		splitContraction(text, from, k, add)
		add(k, k+n)
		k += n
		from = k
	}
	splitContraction(text, from, j, add)
}

func splitContraction(text string, i, j int, add func(a, b int)) {
	if n := contractionLen(text[i:j]); n > 0 && n < j-i {
		add(i, j-n)
		add(j-n, j)
		return
	}
	add(i, j)
}

// contractions are the endings that stand alone, with either apostrophe.
var contractions = func() []string {
	var c []string
	for _, s := range []string{"'s", "'re", "'ve", "'ll", "'d", "'m", "n't"} {
		c = append(c, s, strings.ReplaceAll(s, "'", "’"))
	}
	return c
}()

func contractionLen(word string) int {
	for _, c := range contractions {
		if len(word) >= len(c) && strings.EqualFold(word[len(word)-len(c):], c) {
			return len(c)
		}
	}
	return 0
}

// startsContraction tells "'s" standing alone from an opening quotation mark.
func startsContraction(s string) bool {
	return len(s) <= 6 && s[0] == '\'' && contractionLen(s) == len(s)
}

// abbreviations keep their full stop.
var abbreviations = map[string]bool{
	"Mr.": true, "Mrs.": true, "Ms.": true, "Dr.": true, "Prof.": true, "Rev.": true,
	"Fr.": true, "St.": true, "Mt.": true, "Ft.": true, "Jr.": true, "Sr.": true,
	"Gen.": true, "Col.": true, "Capt.": true, "Lt.": true, "Sgt.": true, "Maj.": true,
	"Sen.": true, "Rep.": true, "Gov.": true, "Pres.": true, "Hon.": true,
	"Inc.": true, "Corp.": true, "Ltd.": true, "Co.": true, "Bros.": true, "Dept.": true,
	"vs.": true, "v.": true, "No.": true, "cf.": true, "ca.": true, "c.": true, "etc.": true,
	"al.": true, "Ave.": true, "Blvd.": true, "approx.": true, "est.": true,
	"Jan.": true, "Feb.": true, "Mar.": true, "Apr.": true, "Jun.": true, "Jul.": true,
	"Aug.": true, "Sep.": true, "Sept.": true, "Oct.": true, "Nov.": true, "Dec.": true,
}

// isAbbreviation tells whether the full stop at the end belongs to the word:
// a listed abbreviation, an initial, or letters with stops between ("U.S.").
func isAbbreviation(s string) bool {
	if len(s) > 12 {
		return false
	}
	if abbreviations[s] {
		return true
	}
	letters := 0
	for i, r := range s {
		if i%2 == 0 && (r < 'A' || r > 'Z' && r < 'a' || r > 'z') || i%2 == 1 && r != '.' {
			return false
		}
		letters += 1 - i%2
	}
	return len(s)%2 == 0 && (letters > 1 || s[0] >= 'A' && s[0] <= 'Z' && s != "I.")
}
