package simllm

// countTokens estimates how many tokens a byte-level BPE of some 100,000
// entries reads text as, with the one that begins a sequence: a word (with the
// space before it) is one token up to eight letters and one more for each
// further five, digits go by three, punctuation is one each, runs of other
// space one, and letters beyond ASCII one for every three bytes. On English
// prose that is about 1.3 a word, as real models have.
func countTokens(text string) int {
	n := 1
	for i := 0; i < len(text); {
		kind := classes[text[i]]
		j := i + 1
		for j < len(text) && classes[text[j]] == kind {
			j++
		}
		run := j - i
		switch kind {
		case letter:
			n += 1 + max(0, run-4)/5
		case digit:
			n += (run + 2) / 3
		case space:
			if run > 1 || text[i] != ' ' {
				n++
			}
		case foreign:
			n += (run + 2) / 3
		default:
			n += run
		}
		i = j
	}
	return n
}

const (
	punctuation = iota
	letter
	digit
	space
	foreign
)

// classes tells what each byte is.
var classes = func() (c [256]uint8) {
	for b := range 256 {
		switch {
		case b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z':
			c[b] = letter
		case b >= '0' && b <= '9':
			c[b] = digit
		case b == ' ' || b == '\n' || b == '\t' || b == '\r':
			c[b] = space
		case b >= 0x80:
			c[b] = foreign
		}
	}
	return c
}()
