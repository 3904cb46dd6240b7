package simllm

import (
	"fmt"
	"math"
	"testing"

	"jouletop/workloads"
)

// studyQueries are as many queries as the study has, per dataset, with
// features spread as there.
func studyQueries() []workloads.Query {
	var list []workloads.Query
	for _, st := range workloads.Styles {
		n := 1000
		if st == workloads.TruthfulQA {
			n = 817
		}
		for i := range n {
			q := workloads.Query{Dataset: string(st), Style: st, ID: fmt.Sprint(i), Answer: -1}
			switch st {
			case workloads.BoolQ:
				q.Options, q.Answer = []string{" yes", " no"}, i%2
			case workloads.HellaSwag:
				q.Options, q.Answer = []string{" walks off", " jumps in", " sings a song", " stops"}, i%4
			default:
				q.Answers = []string{"an answer"}
			}
			list = append(list, q)
		}
	}
	return list
}

// statistics are what the study's Tables VII to X say of qualities.
type statistics struct {
	mean     map[workloads.Style][]float64 // by size
	entity   []float64                     // correlation with quality, by size
	causal   []float64
	patterns [4]float64 // shares: always easy, scaling helps, always hard, inconsistent
	gap      []float64  // quality of easy less that of hard queries by the study's rule
}

func measure(m *quality, queries []workloads.Query) statistics {
	s := statistics{mean: map[workloads.Style][]float64{}}
	all := make([][]float64, sizes)
	var ent, cau []float64
	for i := range sizes {
		n := map[workloads.Style]float64{}
		total := map[workloads.Style]float64{}
		for _, q := range queries {
			x := m.of(q, &shapes[i])
			all[i] = append(all[i], x)
			n[q.Style]++
			total[q.Style] += x
		}
		for _, st := range workloads.Styles {
			s.mean[st] = append(s.mean[st], total[st]/n[st])
		}
	}
	for _, q := range queries {
		t := m.draw(q).traits
		ent, cau = append(ent, t.entityDensity), append(cau, t.causal)
	}
	for i := range sizes {
		s.entity = append(s.entity, correlation(ent, all[i]))
		s.causal = append(s.causal, correlation(cau, all[i]))
		var sum, n [2]float64
		for k := range queries {
			hard := 0
			if ent[k] >= 0.20 || cau[k] >= 0.05 {
				hard = 1
			}
			sum[hard] += all[i][k]
			n[hard]++
		}
		s.gap = append(s.gap, sum[0]/n[0]-sum[1]/n[1])
	}
	lo, hi := map[workloads.Style]float64{}, map[workloads.Style]float64{}
	for k, q := range queries {
		for i := range sizes {
			lo[q.Style], hi[q.Style] = min(lo[q.Style], all[i][k]), max(hi[q.Style], all[i][k])
		}
	}
	for k, q := range queries {
		var ok [sizes]bool
		n := 0
		for i := range sizes {
			if ok[i] = (all[i][k]-lo[q.Style])/(hi[q.Style]-lo[q.Style]) >= 0.5; ok[i] {
				n++
			}
		}
		p := 3
		switch {
		case n == sizes:
			p = 0
		case n == 0:
			p = 2
		case n == 3 && !ok[size1B] && !ok[size3B]:
			p = 1
		}
		s.patterns[p] += 100 / float64(len(queries))
	}
	return s
}

func correlation(x, y []float64) float64 {
	var mx, my, xx, yy, xy float64
	n := float64(len(x))
	for i := range x {
		mx, my = mx+x[i]/n, my+y[i]/n
	}
	for i := range x {
		xx += (x[i] - mx) * (x[i] - mx)
		yy += (y[i] - my) * (y[i] - my)
		xy += (x[i] - mx) * (y[i] - my)
	}
	return xy / math.Sqrt(xx*yy)
}

// TestQualityLikeTheStudy checks means (Table VII), correlations (Table VIII),
// scaling patterns (Table IX) and the gap between easy and hard by the rule
// (Table X), over several draws of 3,817 queries.
func TestQualityLikeTheStudy(t *testing.T) {
	entity := []float64{-0.20, -0.29, -0.32, -0.31, -0.32}
	causal := []float64{-0.16, -0.17, -0.18, -0.13, -0.18}
	patterns := [4]float64{44.5, 15.5, 32.6, 7.4}
	gap := []float64{0.188, 0.250, 0.276, 0.263, 0.304}
	for seed := range uint64(3) {
		m := quality{seed: seed, known: map[queryKey]*drawn{}}
		s := measure(&m, studyQueries())
		for _, st := range workloads.Styles {
			for i := range sizes {
				if want := meanQuality[st][i]; math.Abs(s.mean[st][i]-want) > 0.04 {
					t.Errorf("%s, %s: mean %.3f, want %.3f", st, shapes[i].Name, s.mean[st][i], want)
				}
			}
		}
		for i := range sizes {
			if math.Abs(s.entity[i]-entity[i]) > 0.08 {
				t.Errorf("%s: correlation with entity density %.2f, published %.2f", shapes[i].Name, s.entity[i], entity[i])
			}
			if math.Abs(s.causal[i]-causal[i]) > 0.08 {
				t.Errorf("%s: correlation with causal score %.2f, published %.2f", shapes[i].Name, s.causal[i], causal[i])
			}
			if math.Abs(s.gap[i]-gap[i]) > 0.10 {
				t.Errorf("%s: easy less hard is %.2f, published %.2f", shapes[i].Name, s.gap[i], gap[i])
			}
		}
		for i, want := range patterns {
			if math.Abs(s.patterns[i]-want) > 12 {
				t.Errorf("pattern %d: %.1f %%, published %.1f %%", i, s.patterns[i], want)
			}
		}
		t.Logf("entity %.2f causal %.2f patterns %.1f gap %.2f", s.entity, s.causal, s.patterns, s.gap)
	}
}

func TestPlaceIsUniform(t *testing.T) {
	m := quality{seed: 3, known: map[queryKey]*drawn{}}
	const n, bins = 20_000, 10
	for _, st := range []workloads.Style{workloads.BoolQ, workloads.NarrativeQA} {
		for _, i := range []int{size1B, size14B} {
			var count [bins]float64
			for k := range n {
				u := m.place(workloads.Query{Dataset: string(st), Style: st, ID: fmt.Sprint(k), Options: options(st)}, &shapes[i])
				if u < 0 || u > 1 {
					t.Fatalf("place %v", u)
				}
				count[min(bins-1, int(u*bins))]++
			}
			for b, c := range count {
				if math.Abs(c/n-1.0/bins) > 0.015 {
					t.Errorf("%s, %s: %.3f of all in bin %d", st, shapes[i].Name, c/n, b)
				}
			}
		}
	}
}

func options(st workloads.Style) []string {
	if st == workloads.BoolQ {
		return []string{" yes", " no"}
	}
	return nil
}

func TestFeaturesBearOnQuality(t *testing.T) {
	hard := false
	m := quality{seed: 3, known: map[queryKey]*drawn{}, features: func(q workloads.Query) (float64, float64, bool) {
		if hard {
			return 0.6, 1, true
		}
		return 0, 0, true
	}}
	var mean [2]float64
	for k := range 2000 {
		hard = k%2 == 1
		q := workloads.Query{Dataset: "d", Style: workloads.BoolQ, ID: fmt.Sprint(k), Options: []string{"a", "b"}}
		mean[k%2] += m.of(q, &shapes[size8B]) / 1000
	}
	if mean[0]-mean[1] < 0.1 {
		t.Errorf("easy queries %.2f, hard ones %.2f", mean[0], mean[1])
	}
}

// TestChoiceFitsQuality checks that the option chosen is the right one exactly
// where the quality says so, and the likeliest as the engine compares them.
func TestChoiceFitsQuality(t *testing.T) {
	m := quality{seed: 9, known: map[queryKey]*drawn{}}
	opts := []string{" a long ending that goes on and on", " no", " something between", " the last"}
	for n := 1; n <= len(opts); n++ {
		for k := range 400 {
			q := workloads.Query{
				Dataset: "d", Style: workloads.HellaSwag, ID: fmt.Sprint(k),
				Options: opts[:n], Answer: k % n, LengthNormalised: k%3 == 0,
			}
			if k%10 == 9 {
				q.Answer = -1
			}
			x := m.of(q, &shapes[size3B])
			choice, ll := m.options(q, &shapes[size3B], x)
			if math.IsNaN(x) != (q.Answer < 0) || q.Answer >= 0 && (x == 1) != (choice == q.Answer) {
				t.Fatalf("quality %v, chosen %d of %d, right is %d", x, choice, n, q.Answer)
			}
			best := 0
			for i := range ll {
				if ll[i] >= 0 {
					t.Fatalf("log-likelihood %v", ll[i])
				}
				per := func(i int) float64 {
					if q.LengthNormalised {
						return ll[i] / float64(len(q.Options[i]))
					}
					return ll[i]
				}
				if per(i) > per(best) {
					best = i
				}
			}
			if best != choice {
				t.Fatalf("chosen %d, likeliest %d of %v", choice, best, ll)
			}
		}
	}
}
