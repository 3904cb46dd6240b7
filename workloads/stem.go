package workloads

import "strings"

// PorterStem reduces a lower-case English word to its stem by M. F. Porter's
// algorithm ("An algorithm for suffix stripping", Program 14(3), 1980) with the
// changes that NLTK's PorterStemmer makes in its default mode, because that is
// the stemmer of the ROUGE reference package. (Snowball's "english", which Go
// libraries offer, is Porter's later, different algorithm.) NLTK's changes: a
// pool of irregular forms; "ies" and "ied" keep their e in four-letter words
// (dies, died); y becomes i only after a consonant that is not the first
// letter; a few more suffixes in step 2.
func PorterStem(word string) string {
	if s, ok := irregular[word]; ok {
		return s
	}
	if len(word) <= 2 {
		return word
	}
	w := porter(word)
	w = w.step1a().step1b().step1c()
	w = w.step2()
	w = w.replace(step3Rules)
	w = w.replace(step4Rules)
	return string(w.step5())
}

var irregular = map[string]string{
	"sky": "sky", "skies": "sky",
	"dying": "die", "lying": "lie", "tying": "tie",
	"news":    "news",
	"innings": "inning", "inning": "inning",
	"outings": "outing", "outing": "outing",
	"cannings": "canning", "canning": "canning",
	"howe":    "howe",
	"proceed": "proceed", "exceed": "exceed", "succeed": "succeed",
}

// porter is a word on its way through the steps.
type porter string

// consonant: not a, e, i, o, u, and y only at the start or after a vowel.
func (w porter) consonant(i int) bool {
	switch w[i] {
	case 'a', 'e', 'i', 'o', 'u':
		return false
	case 'y':
		return i == 0 || !w.consonant(i-1)
	}
	return true
}

// measure counts the vowel-consonant sequences: Porter's m.
func (w porter) measure() int {
	m, vowel := 0, false
	for i := range w {
		c := w.consonant(i)
		if c && vowel {
			m++
		}
		vowel = !c
	}
	return m
}

func (w porter) hasVowel() bool {
	for i := range w {
		if !w.consonant(i) {
			return true
		}
	}
	return false
}

func (w porter) doubleConsonant() bool {
	n := len(w)
	return n >= 2 && w[n-1] == w[n-2] && w.consonant(n-1)
}

// cvc: ends consonant, vowel, consonant other than w, x, y; or, in NLTK, is a
// vowel and a consonant alone.
func (w porter) cvc() bool {
	n := len(w)
	if n >= 3 {
		return w.consonant(n-3) && !w.consonant(n-2) && w.consonant(n-1) && !strings.ContainsRune("wxy", rune(w[n-1]))
	}
	return n == 2 && !w.consonant(0) && w.consonant(1)
}

func (w porter) has(suffix string) bool { return strings.HasSuffix(string(w), suffix) }

func (w porter) less(suffix string) porter { return w[:len(w)-len(suffix)] }

func (w porter) step1a() porter {
	switch {
	case w.has("ies") && len(w) == 4:
		return w.less("s")
	case w.has("sses"), w.has("ies"):
		return w.less("es")
	case w.has("ss"):
		return w
	case w.has("s"):
		return w.less("s")
	}
	return w
}

func (w porter) step1b() porter {
	if w.has("ied") {
		if len(w) == 4 {
			return w.less("d")
		}
		return w.less("ed")
	}
	if w.has("eed") {
		if w.less("eed").measure() > 0 {
			return w.less("d")
		}
		return w
	}
	stem := porter("")
	for _, suffix := range []string{"ed", "ing"} {
		if w.has(suffix) && w.less(suffix).hasVowel() {
			stem = w.less(suffix)
			break
		}
	}
	switch {
	case stem == "":
		return w
	case stem.has("at"), stem.has("bl"), stem.has("iz"):
		return stem + "e"
	case stem.doubleConsonant():
		if strings.ContainsRune("lsz", rune(stem[len(stem)-1])) {
			return stem
		}
		return stem[:len(stem)-1]
	case stem.measure() == 1 && stem.cvc():
		return stem + "e"
	}
	return stem
}

func (w porter) step1c() porter {
	if w.has("y") {
		if stem := w.less("y"); len(stem) > 1 && stem.consonant(len(stem)-1) {
			return stem + "i"
		}
	}
	return w
}

// rule replaces a suffix if the stem before it satisfies the condition. The
// first suffix that fits decides, whether or not its condition holds.
type rule struct {
	suffix, with string
	when         func(stem porter) bool
}

func positive(stem porter) bool { return stem.measure() > 0 }
func above1(stem porter) bool   { return stem.measure() > 1 }

func rules(when func(porter) bool, pairs ...string) []rule {
	var rs []rule
	for i := 0; i < len(pairs); i += 2 {
		rs = append(rs, rule{pairs[i], pairs[i+1], when})
	}
	return rs
}

func (w porter) replace(rs []rule) porter {
	for _, r := range rs {
		if w.has(r.suffix) {
			if stem := w.less(r.suffix); r.when(stem) {
				return stem + porter(r.with)
			}
			return w
		}
	}
	return w
}

var step2Rules = append(rules(positive,
	"ational", "ate", "tional", "tion", "enci", "ence", "anci", "ance", "izer", "ize",
	"bli", "ble", "alli", "al", "entli", "ent", "eli", "e", "ousli", "ous",
	"ization", "ize", "ation", "ate", "ator", "ate", "alism", "al", "iveness", "ive",
	"fulness", "ful", "ousness", "ous", "aliti", "al", "iviti", "ive", "biliti", "ble",
	"fulli", "ful"),
	// NLTK measures the stem of "logi" with its l.
	rule{"logi", "log", func(stem porter) bool { return positive(stem + "l") }})

func (w porter) step2() porter {
	if w.has("alli") && positive(w.less("alli")) {
		return (w.less("alli") + "al").step2()
	}
	return w.replace(step2Rules)
}

var step3Rules = rules(positive,
	"icate", "ic", "ative", "", "alize", "al", "iciti", "ic", "ical", "ic", "ful", "", "ness", "")

var step4Rules = func() []rule {
	rs := rules(above1, "al", "", "ance", "", "ence", "", "er", "", "ic", "", "able", "", "ible", "",
		"ant", "", "ement", "", "ment", "", "ent", "")
	rs = append(rs, rule{"ion", "", func(stem porter) bool {
		return above1(stem) && (stem.has("s") || stem.has("t"))
	}})
	return append(rs, rules(above1, "ou", "", "ism", "", "ate", "", "iti", "", "ous", "", "ive", "", "ize", "")...)
}()

func (w porter) step5() porter {
	if w.has("e") {
		stem := w.less("e")
		if m := stem.measure(); m > 1 || m == 1 && !stem.cvc() {
			w = stem
		}
	}
	if w.has("ll") && w.less("l").measure() > 1 {
		w = w.less("l")
	}
	return w
}
