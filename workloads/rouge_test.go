package workloads

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestRougeTokens(t *testing.T) {
	for _, tc := range []struct {
		text string
		stem bool
		want string
	}{
		{"", false, ""},
		{"  --- !", false, ""},
		{"The U.S. won 3-2 in 1990.", false, "the u s won 3 2 in 1990"},
		{"don't", false, "don t"},
		{"naïve café", false, "na ve caf"},
		{"snake_case", false, "snake case"},
		{"K\u212Am", false, "kkm"}, // the Kelvin sign's lower case is k
		{"\u0130x", false, "i x"},  // İ: i and a combining dot
		{"The cats were running happily", true, "the cat were run happili"},
		{"his was running", true, "his was run"}, // three letters are left alone
	} {
		if got := strings.Join(RougeTokens(tc.text, tc.stem), " "); got != tc.want {
			t.Errorf("RougeTokens(%q, %v) = %q, want %q", tc.text, tc.stem, got, tc.want)
		}
	}
}

// Each case is worked out by hand: L, the candidate's and the best reference's
// token counts.
func TestROUGEL(t *testing.T) {
	for _, tc := range []struct {
		name      string
		candidate string
		refs      []string
		stem      bool
		l, c, r   float64
	}{
		{"same", "the cat sat", []string{"The cat sat."}, false, 3, 3, 3},
		{"Lin 2004, S1 and S2", "police kill the gunman", []string{"police killed the gunman"}, false, 3, 4, 4},
		{"Lin 2004, S1 and S3", "the gunman kill police", []string{"police killed the gunman"}, false, 2, 4, 4},
		{"the stems agree", "police kill the gunman", []string{"police killed the gunman"}, true, 4, 4, 4},
		{"not contiguous", "a x b y c", []string{"a b c"}, false, 3, 5, 3},
		{"order matters", "c b a", []string{"a b c"}, false, 1, 3, 3},
		{"repetitions", "the the the the", []string{"the cat"}, false, 1, 4, 2},
		{"longer answer", "paris", []string{"It is the city of Paris"}, false, 1, 1, 6},
		{"best of several is the second", "in the old mill", []string{"at sea", "the old mill", "in a mill by the sea"}, false, 3, 4, 3},
		{"best F1, not best recall", "one two three four", []string{"one", "one two three nine"}, false, 3, 4, 4},
		{"nothing in common", "yes", []string{"no"}, false, 0, 1, 1},
		{"empty candidate", "", []string{"no"}, false, 0, 0, 1},
		{"empty reference", "no", []string{"..."}, false, 0, 1, 0},
		{"no reference", "no", nil, false, 0, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var want Overlap
			if tc.l > 0 {
				p, r := tc.l/tc.c, tc.l/tc.r
				want = Overlap{p, r, 2 * p * r / (p + r)}
			}
			got := ROUGEL(tc.candidate, tc.refs, tc.stem)
			for _, d := range []float64{got.Precision - want.Precision, got.Recall - want.Recall, got.F1 - want.F1} {
				if math.Abs(d) > 1e-12 {
					t.Fatalf("got %+v, want %+v", got, want)
				}
			}
		})
	}
}

// lcs against the definition: the longest of all subsequences of a that is one
// of b.
func TestLCSAgainstDefinition(t *testing.T) {
	words := []string{"a", "b", "c"}
	var sequences [][]string
	for n := range 5 {
		for code := range int(math.Pow(3, float64(n))) {
			var s []string
			for range n {
				s = append(s, words[code%3])
				code /= 3
			}
			sequences = append(sequences, s)
		}
	}
	isSubsequence := func(s, of []string) bool {
		for _, w := range of {
			if len(s) > 0 && s[0] == w {
				s = s[1:]
			}
		}
		return len(s) == 0
	}
	for _, a := range sequences {
		for _, b := range sequences {
			want := 0
			for mask := range 1 << len(a) {
				var s []string
				for i, w := range a {
					if mask>>i&1 == 1 {
						s = append(s, w)
					}
				}
				if isSubsequence(s, b) {
					want = max(want, len(s))
				}
			}
			if got := lcs(a, b); got != want {
				t.Fatalf("lcs(%v, %v) = %d, want %d", a, b, got, want)
			}
		}
	}
}

func FuzzROUGEL(f *testing.F) {
	f.Add("the cat", "a cat", true)
	f.Add("\xff\x00", "İ", false)
	f.Fuzz(func(t *testing.T, a, b string, stem bool) {
		if len(a)+len(b) > 4<<10 {
			return
		}
		ab, ba := ROUGEL(a, []string{b}, stem), ROUGEL(b, []string{a}, stem)
		if math.Abs(ab.F1-ba.F1) > 1e-12 || ab.Precision != ba.Recall {
			t.Errorf("not symmetric: %+v, %+v", ab, ba)
		}
		if ab.F1 < 0 || ab.F1 > 1 || math.IsNaN(ab.F1) {
			t.Errorf("F1 %v out of range", ab.F1)
		}
		same := slices.Equal(RougeTokens(a, stem), RougeTokens(b, stem))
		if full := ab.F1 == 1; full && !same || !full && same && len(RougeTokens(a, stem)) > 0 {
			t.Errorf("F1 %v, same tokens: %v", ab.F1, same)
		}
	})
}
