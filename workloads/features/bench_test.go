package features

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"jouletop/workloads"
	"jouletop/workloads/study"
)

// benchQueries strings hand-written sentences together to the study's query counts and
// mean lengths in words (Tables I and II): 3,817 queries, about 616,000 words.
func benchQueries(t testing.TB) []workloads.Query {
	var sentences []string
	for _, file := range []string{"entities_dev.txt", "entities_test.txt"} {
		for _, s := range readLabelled(t, file) {
			sentences = append(sentences, s.text)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var out []workloads.Query
	for _, style := range []workloads.Style{workloads.BoolQ, workloads.HellaSwag, workloads.TruthfulQA, workloads.NarrativeQA} {
		of := func(column string) float64 { return study.Published("02", column, "dataset", string(style)) }
		for range int(of("queries")) {
			want := int(of("mean_tokens") * (0.7 + 0.6*rng.Float64()))
			var text []string
			for n := 0; n < want; {
				words := strings.Fields(sentences[rng.IntN(len(sentences))])
				words = words[:min(len(words), want-n)]
				text = append(text, words...)
				n += len(words)
			}
			out = append(out, workloads.Query{Style: style, Text: strings.Join(text, " ")})
		}
	}
	return out
}

// TestBenchFeatures is `make bench-features`: the time that the features of
// the study's 3,817 queries take on two cores, model load included.
func TestBenchFeatures(t *testing.T) {
	if os.Getenv("BENCH_FEATURES") == "" {
		t.Skip("a benchmark: run it with `make bench-features`")
	}
	const target = 4 * time.Second
	queries := benchQueries(t)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))

	start, cpu := time.Now(), cpuTime(t)
	x, err := New()
	if err != nil {
		t.Fatal(err)
	}
	loaded := time.Since(start)
	all := x.ExtractAll(queries)
	took := time.Since(start)
	// What other programs take of the two cores is not the features' cost.
	busy := (cpuTime(t) - cpu) / 2

	words, tokens := 0, 0
	for _, f := range all {
		words += f.Words
		tokens += f.Tokens
	}
	fmt.Printf("features of %d queries, %d words, %d tokens, 2 cores\n", len(queries), words, tokens)
	fmt.Printf("%-28s %10s %10s\n", "", "measured", "target")
	fmt.Printf("%-28s %8.3f s %10s\n", "model load", loaded.Seconds(), "")
	fmt.Printf("%-28s %8.3f s %8.3f s\n", "load and features, CPU / 2", busy.Seconds(), target.Seconds())
	fmt.Printf("%-28s %8.3f s %10s\n", "load and features, wall", took.Seconds(), "")
	fmt.Printf("%-28s %8.2f µs\n", "CPU per token", 2*float64(busy.Microseconds())/float64(tokens))
	if words < 590_000 {
		t.Errorf("%d words, want at least 590,000", words)
	}
	if busy > target {
		t.Errorf("took %v of two cores, want at most %v", busy, target)
	}
}

// cpuTime is what this process has used of all processors.
func cpuTime(t testing.TB) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		t.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
