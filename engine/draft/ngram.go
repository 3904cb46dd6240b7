// Package draft proposes what a model may say next without a model: by looking up what
// followed the same tokens before.
package draft

// Bounds of what is looked up, in tokens: a shorter match is chance, a longer one tells no
// more.
const (
	shortest = 2
	longest  = 16
)

// NGram returns up to most tokens that followed when the last tokens came before: after
// the longest such match, and of equal ones the latest. It returns none where nothing
// matches. (Saxena, "Prompt lookup decoding", 2023.) What it returns is a part of tokens.
func NGram(tokens []int32, most int) []int32 {
	n := len(tokens)
	best, at := shortest-1, -1
	for end := n - 1; end > best && most > 0; end-- { // the match ends before end
		k := 0
		for k < min(end, longest) && tokens[end-1-k] == tokens[n-1-k] {
			k++
		}
		if k > best {
			best, at = k, end
		}
		if best == longest {
			break
		}
	}
	if at < 0 {
		return nil
	}
	return tokens[at:min(at+most, n)]
}
